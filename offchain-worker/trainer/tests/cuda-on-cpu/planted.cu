// Kernels with faults, and one without, by which the driver for tests is tested.

// out[i] = in[last − i], by way of shared memory.
KERNEL(256) reverse(float* out, const float* in) {
    __shared__ float shared[256];
    shared[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
}

// The same, but the memory is used again without a barrier: a warp that runs ahead takes numbers away.
KERNEL(256) reverse_without_barrier(float* out, const float* in) {
    __shared__ float shared[256];
    shared[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
    shared[threadIdx.x] = 0;
}

// One number before the beginning, or one vector behind the end.
KERNEL(32) read_outside(float* out, const float* in) {
    out[threadIdx.x] = in[(int)threadIdx.x - 1] + in[threadIdx.x + 4];
}

// Half of the threads wait at one barrier, half at another.
KERNEL(64) diverge(float* out, const float* in) {
    if (threadIdx.x < 32) {
        __syncthreads();
        out[threadIdx.x] = in[threadIdx.x];
    } else {
        __syncthreads();
        out[threadIdx.x] = -in[threadIdx.x];
    }
}

// Half of the threads wait, the others do not.
KERNEL(64) wait_for_half(float* out, const float* in) {
    if (threadIdx.x < 32) __syncthreads();
    out[threadIdx.x] = in[threadIdx.x];
}

// Reads what was copied asynchronously without waiting for it.
KERNEL(32) copy_without_waiting(float* out, const float* in) {
    __shared__ Floats4 shared[32];
    if (threadIdx.x < 8) copy_async(&shared[threadIdx.x], in + 4 * threadIdx.x, true);
    copy_commit();
    __syncthreads();
    out[threadIdx.x] = shared[threadIdx.x / 4].at[threadIdx.x % 4];
    copy_wait<0>();
}
