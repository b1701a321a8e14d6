// Rows of the embedding for tokens, and back.
//
// Backwards, many rows of a batch belong to one token. Instead of adding them by atomics, in any order, the
// host sorts the positions by token, and one block adds those of one token in the order of the batch.

// The token's row of the table, 4 numbers per thread.
KERNEL(256) embedding_forward(float* stream, const float* table, const u32* tokens, u64 threads, u32 width) {
    u64 thread = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (thread >= threads) return;
    u64 row = thread / (width / 4), i = 4 * (thread % (width / 4));
    *(Floats4*)&stream[row * width + i] = *(const Floats4*)&table[(u64)tokens[row] * width + i];
}

// Block b adds to the table's gradient the rows at positions order[starts[b]..starts[b + 1]], all of the same
// token. Blocks from *buckets on have nothing to do: the grid is as large as a batch, whatever is in it.
KERNEL(256) embedding_backward(float* dtable, const float* dstream, const u32* tokens, const u32* order, const u32* starts,
                               const u32* buckets, u32 width) {
    if (blockIdx.x >= *buckets) return;
    u32 start = starts[blockIdx.x], end = starts[blockIdx.x + 1];
    float* to = dtable + (u64)tokens[order[start]] * width;
    for (u32 i = threadIdx.x; i < width; i += blockDim.x) {
        float sum = to[i];
        for (u32 at = start; at < end; at++) sum += dstream[(u64)order[at] * width + i];
        to[i] = sum;
    }
}
