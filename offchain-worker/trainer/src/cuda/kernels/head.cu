// Cross-entropy over rows of logits, and its gradient in the same pass.
//
// The host makes the logits of some rows at a time, so those of a whole batch never exist. Maximum and sum
// of exponentials come from one reading of the row (Milakov and Gimelshein 2018, arXiv 1805.02867).

// One block per row of `vocabulary` logits: its loss in nats and, unless `dlogits` is null, `share` times
// the loss's gradient.
KERNEL(512) cross_entropy(float* losses, bf16* dlogits, const float* logits, const u32* targets, u32 vocabulary, float share) {
    __shared__ float maxima[16], sums[16];
    const float* row = logits + (u64)blockIdx.x * vocabulary;
    float largest = -infinity(), sum = 0;
    for (u32 i = threadIdx.x; i < vocabulary; i += blockDim.x) {
        float x = row[i], larger = fmaxf(largest, x);
        sum = sum * expf(largest - larger) + expf(x - larger);
        largest = larger;
    }
    float warp_largest = warp_max(largest);
    // A thread that saw nothing, or nothing finite, adds nothing: −∞ − −∞ would be no number.
    float warp_total = warp_sum(largest == -infinity() ? 0.0f : sum * expf(largest - warp_largest));
    if (lane_id() == 0) maxima[warp_id()] = warp_largest, sums[warp_id()] = warp_total;
    __syncthreads();
    u32 warps = blockDim.x / 32;
    largest = warp_max(lane_id() < warps ? maxima[lane_id()] : -infinity());
    bool present = lane_id() < warps && maxima[lane_id()] != -infinity();
    sum = warp_sum(present ? sums[lane_id()] * expf(maxima[lane_id()] - largest) : 0.0f);

    u32 target = targets[blockIdx.x];
    if (threadIdx.x == 0) losses[blockIdx.x] = logf(sum) - (row[target] - largest);
    if (!dlogits) return;
    float rate = share / sum;
    u32* out = (u32*)(dlogits + (u64)blockIdx.x * vocabulary);
    for (u32 i = 2 * threadIdx.x; i < vocabulary; i += 2 * blockDim.x) {
        float a = expf(row[i] - largest) * rate - (i == target ? share : 0.0f);
        float b = expf(row[i + 1] - largest) * rate - (i + 1 == target ? share : 0.0f);
        out[i / 2] = pack(a, b);
    }
}

// Adds the losses of `rows` rows, in a fixed order, to `total`. One block.
KERNEL(1024) add_losses(double* total, const float* losses, u32 rows) {
    double sum = 0;
    for (u32 i = threadIdx.x; i < rows; i += blockDim.x) sum += (double)losses[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) *total += sum;
}
