// What a kernel's source finds instead of a GPU: CUDA's built-in names and the functions that
// src/cuda/kernels/prelude.cu makes of inline PTX, in plain C++.
//
// Every CUDA thread is a fiber (block.h); a warp's collective writes what each lane gives into `exchange`,
// waits for the others, and reads. The layouts of tensor-core fragments are those of the PTX ISA, sections
// "Matrix Fragments for mma.m16n8k16 with floating point type" and "ldmatrix".
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

namespace fake {

struct Dim3 {
    u32 x, y, z;
};

// What one lane hands to the others of its warp.
struct Exchange {
    u32 words[8];
    const void* pointer;
};

extern thread_local Exchange exchange[32][32];  // by warp and lane
extern thread_local u8* dynamic_memory;

// Wait for all threads of the block, or of the warp, at the same place of the source.
void wait_for_block(int line);
void wait_for_warp(int line);

}  // namespace fake

extern thread_local fake::Dim3 threadIdx, blockIdx, blockDim, gridDim;

#define __shared__ static thread_local
#define DEVICE static inline
#define DEVICE_MEMBER inline
#define KERNEL(threads) static void
#define DYNAMIC_SHARED u8* dynamic_shared = fake::dynamic_memory
#define __syncthreads() fake::wait_for_block(__LINE__)
#define __syncwarp() fake::wait_for_warp(__LINE__)

using std::fmaf;

DEVICE float __uint_as_float(u32 bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

DEVICE u32 __float_as_uint(float x) {
    u32 bits;
    memcpy(&bits, &x, 4);
    return bits;
}

namespace fake {

inline u32 lane() { return threadIdx.x & 31; }
inline Exchange* warp() { return exchange[threadIdx.x >> 5]; }

template <class T> T shuffle(T mine, u32 from, int line) {
    static_assert(sizeof(T) <= sizeof(Exchange::words), "a word or two");
    memcpy(warp()[lane()].words, &mine, sizeof(T));
    wait_for_warp(line);
    T theirs;
    memcpy(&theirs, warp()[from & 31].words, sizeof(T));
    wait_for_warp(line);
    return theirs;
}

}  // namespace fake

#define __shfl_xor_sync(mask, value, step) fake::shuffle((value), fake::lane() ^ (step), __LINE__)
#define __shfl_sync(mask, value, from) fake::shuffle((value), (from), __LINE__)

// The number of the block's threads for which `truth` holds.
DEVICE int __syncthreads_count(int truth) {
    static thread_local int count;
    if (threadIdx.x == 0) count = 0;
    fake::wait_for_block(__LINE__);
    count += truth != 0;
    fake::wait_for_block(__LINE__);
    int total = count;
    fake::wait_for_block(__LINE__);
    return total;
}

DEVICE u16 round_to_bf16(float x) {
    u32 bits = __float_as_uint(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
    return (u16)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

DEVICE u32 pack(float low, float high) { return (u32)round_to_bf16(high) << 16 | round_to_bf16(low); }

DEVICE void mma(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    using namespace fake;
    u32* mine = warp()[lane()].words;
    mine[0] = a[0], mine[1] = a[1], mine[2] = a[2], mine[3] = a[3], mine[4] = b0, mine[5] = b1;
    wait_for_warp(__LINE__);
    auto half = [](u32 word, u32 high) { return __uint_as_float(high ? word & 0xffff0000u : word << 16); };
    for (u32 e = 0; e < 4; e++) {
        u32 row = lane() / 4 + 8 * (e / 2), column = 2 * (lane() % 4) + e % 2;
        float sum = d[e];
        for (u32 k = 0; k < 16; k++) {
            u32 in_quad = k % 8 / 2;
            u32 left = warp()[4 * (row % 8) + in_quad].words[row / 8 + 2 * (k / 8)];
            u32 right = warp()[4 * column + in_quad].words[4 + k / 8];
            sum += half(left, k % 2) * half(right, k % 2);
        }
        d[e] = sum;
    }
    wait_for_warp(__LINE__);
}

namespace fake {

inline void load_matrices(u32 (&m)[4], const u16* row, bool transposed, int line) {
    warp()[lane()].pointer = row;
    wait_for_warp(line);
    for (u32 i = 0; i < 4; i++) {
        auto element = [&](u32 r, u32 c) -> u32 { return ((const u16*)warp()[8 * i + r].pointer)[c]; };
        u32 r = lane() / 4, c = 2 * (lane() % 4);
        m[i] = transposed ? element(c, r) | element(c + 1, r) << 16 : element(r, c) | element(r, c + 1) << 16;
    }
    wait_for_warp(line);
}

}  // namespace fake

DEVICE void load_matrices(u32 (&m)[4], const u16* row) { fake::load_matrices(m, row, false, __LINE__); }
DEVICE void load_matrices_transposed(u32 (&m)[4], const u16* row) { fake::load_matrices(m, row, true, __LINE__); }

// Asynchronous copies are made when they are waited for, as late as a GPU might make them: who reads
// before waiting reads what was there before.
void copy_async(void* shared, const void* global, bool valid);
void copy_commit();
namespace fake {
void wait_for_copies(int pending);
}
template <int PENDING> void copy_wait() { fake::wait_for_copies(PENDING); }
