// What all kernels share. Put in front of every source before it is compiled.
//
// The sources need no header of CUDA: bfloat16 is done by hand, and every instruction that C++ lacks is one
// function here, of inline PTX. A plain C++ compiler can so be given the same sources, with a header that
// has the same functions (tests/cuda-on-cpu/device.h), and the kernels run on a CPU.
//
// Rules of the sources: no atomics, so that a result depends on nothing but its arguments; blocks and grids
// may have any size that the host states beside the kernel's name; a warp's collective is called by all 32.

#ifdef __CUDACC_RTC__
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define DEVICE static __device__ __forceinline__
#define DEVICE_MEMBER __device__ __forceinline__
#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads, 1)
#define DYNAMIC_SHARED extern __shared__ __align__(16) u8 dynamic_shared[]

// Two floats to two bfloat16, nearest even; `low` lies first in memory.
DEVICE u32 pack(float low, float high) {
    u32 packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
}

// d += a·b for a warp: a is 16×16, b 16×8, d 16×8. Which lane holds which element: PTX ISA, "Matrix
// Fragments for mma.m16n8k16 with floating point type".
DEVICE void mma(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

DEVICE u32 shared_address(const void* generic) {
    u64 address;
    asm("cvta.to.shared.u64 %0, %1;" : "=l"(address) : "l"(generic));
    return (u32)address;
}

// Four 8×8 matrices from shared memory; lane l gives the address of row l mod 8 of matrix l / 8.
DEVICE void load_matrices(u32 (&m)[4], const u16* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3]) : "r"(shared_address(row)) : "memory");
}

// The same, each matrix transposed.
DEVICE void load_matrices_transposed(u32 (&m)[4], const u16* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3]) : "r"(shared_address(row)) : "memory");
}

// 16 bytes from global to shared memory behind the thread's back; zeros, and nothing read, if not `valid`.
DEVICE void copy_async(void* shared, const void* global, bool valid) {
    u32 bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(bytes) : "memory");
}

// Ends a group of copies.
DEVICE void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most `PENDING` of this thread's groups are under way.
template <int PENDING> DEVICE void copy_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory"); }
#endif

typedef u16 bf16;

// What one thread moves at once.
struct alignas(16) Floats4 { float at[4]; };
struct alignas(16) Words4 { u32 at[4]; };

DEVICE float from_bf16(bf16 x) { return __uint_as_float((u32)x << 16); }
DEVICE float low_of(u32 packed) { return __uint_as_float(packed << 16); }
DEVICE float high_of(u32 packed) { return __uint_as_float(packed & 0xffff0000u); }
DEVICE float infinity() { return __uint_as_float(0x7f800000u); }
DEVICE bool is_finite(double x) { return x - x == 0.0; }

DEVICE u32 lane_id() { return threadIdx.x & 31; }
DEVICE u32 warp_id() { return threadIdx.x >> 5; }

template <class T> DEVICE T warp_sum(T x) {
    for (int step = 16; step > 0; step >>= 1) x += __shfl_xor_sync(0xffffffffu, x, step);
    return x;
}

DEVICE float warp_max(float x) {
    for (int step = 16; step > 0; step >>= 1) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, step));
    return x;
}

// The sum over a block of whole warps, in every thread. Called by all threads.
template <class T> DEVICE T block_sum(T x) {
    __shared__ T sums[32];
    x = warp_sum(x);
    if (lane_id() == 0) sums[warp_id()] = x;
    __syncthreads();
    x = warp_sum(lane_id() < blockDim.x / 32 ? sums[lane_id()] : T(0));
    __syncthreads();
    return x;
}
