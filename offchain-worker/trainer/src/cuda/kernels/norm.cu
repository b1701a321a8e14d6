// Root-mean-square normalisation, y = w · x / √(mean x² + ε), with the residual addition before it.
//
// Zhang and Sennrich 2019, arXiv 1910.07467. A block's output is added to the residual stream in the pass
// that also normalises the sum for the next block, so the stream is read and written once. The stream is
// float; what goes into matrix products is bfloat16. Widths are multiples of 8.

static const float EPSILON = 1e-5f;
// Rows of which one block sums the weight's gradient.
static const u32 ROWS_PER_PARTIAL = 64;

// stream = input + branch, normed = norm(stream), rates = 1/√(mean stream² + ε).
// Without a branch (null) the stream is the input and is not written. One warp per row.
KERNEL(256) residual_norm_forward(float* stream, bf16* normed, float* rates, const float* input, const bf16* branch,
                                  const float* weight, u32 rows, u32 width) {
    u32 row = blockIdx.x * (blockDim.x / 32) + warp_id();
    if (row >= rows) return;
    u64 start = (u64)row * width;
    float squares = 0;
    for (u32 i = 4 * lane_id(); i < width; i += 128) {
        Floats4 x = *(const Floats4*)&input[start + i];
        if (branch) {
            const u32* b = (const u32*)&branch[start + i];
            u32 first = b[0], second = b[1];
            x.at[0] += low_of(first), x.at[1] += high_of(first), x.at[2] += low_of(second), x.at[3] += high_of(second);
            *(Floats4*)&stream[start + i] = x;
        }
        for (int j = 0; j < 4; j++) squares += x.at[j] * x.at[j];
    }
    float rate = 1.0f / sqrtf(warp_sum(squares) / (float)width + EPSILON);
    if (lane_id() == 0) rates[row] = rate;
    // A lane reads back only what it wrote itself.
    const float* sum = branch ? stream : input;
    for (u32 i = 4 * lane_id(); i < width; i += 128) {
        Floats4 x = *(const Floats4*)&sum[start + i], w = *(const Floats4*)&weight[i];
        u32* y = (u32*)&normed[start + i];
        y[0] = pack(x.at[0] * rate * w.at[0], x.at[1] * rate * w.at[1]);
        y[1] = pack(x.at[2] * rate * w.at[2], x.at[3] * rate * w.at[3]);
    }
}

// Adds the gradient of the norm's input to that of the stream, and rounds the sum for the products that
// come next; leaves in `partial`, [⌈rows / 64⌉, width], the sums over 64 rows of the weight's gradient.
KERNEL(256) norm_backward(float* dstream, bf16* rounded, float* partial, const bf16* dnormed, const float* stream,
                          const float* weight, const float* rates, u32 rows, u32 width) {
    u32 first = blockIdx.x * ROWS_PER_PARTIAL;
    u32 last = first + ROWS_PER_PARTIAL < rows ? first + ROWS_PER_PARTIAL : rows;
    for (u32 row = first + warp_id(); row < last; row += blockDim.x / 32) {
        u64 start = (u64)row * width;
        float product = 0;
        for (u32 i = 2 * lane_id(); i < width; i += 64) {
            u32 dy = *(const u32*)&dnormed[start + i];
            product += low_of(dy) * weight[i] * stream[start + i] + high_of(dy) * weight[i + 1] * stream[start + i + 1];
        }
        float rate = rates[row];
        float pull = rate * rate * rate * (warp_sum(product) / (float)width);
        for (u32 i = 2 * lane_id(); i < width; i += 64) {
            u32 dy = *(const u32*)&dnormed[start + i];
            float a = dstream[start + i] + rate * (weight[i] * low_of(dy)) - pull * stream[start + i];
            float b = dstream[start + i + 1] + rate * (weight[i + 1] * high_of(dy)) - pull * stream[start + i + 1];
            dstream[start + i] = a, dstream[start + i + 1] = b;
            *(u32*)&rounded[start + i] = pack(a, b);
        }
    }
    for (u32 i = threadIdx.x; i < width; i += blockDim.x) {
        float sum = 0;
        for (u32 row = first; row < last; row++) {
            u64 at = (u64)row * width + i;
            sum += from_bf16(dnormed[at]) * (stream[at] * rates[row]);
        }
        partial[(u64)blockIdx.x * width + i] = sum;
    }
}

// Adds the partial sums, in a fixed order, to the weight's gradient. 32 columns per block, 8 sums of each.
KERNEL(256) norm_weight_gradient(float* dweight, const float* partial, u32 partials, u32 width) {
    __shared__ float sums[8][32];
    u32 column = blockIdx.x * 32 + lane_id();
    float sum = 0;
    if (column < width)
        for (u32 i = warp_id(); i < partials; i += 8) sum += partial[(u64)i * width + column];
    sums[warp_id()][lane_id()] = sum;
    __syncthreads();
    if (warp_id() == 0 && column < width) {
        float total = dweight[column];
        for (int i = 0; i < 8; i++) total += sums[i][lane_id()];
        dweight[column] = total;
    }
}
