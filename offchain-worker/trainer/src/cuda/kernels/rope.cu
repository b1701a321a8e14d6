// Rotary position embedding, in place: number i of a head's first half is turned against number i of its
// second half by position · base^(−2i/width).
//
// Su et al. 2021, arXiv 2104.09864, with the pairing of Hugging Face's Llama. Cosines and sines come from the
// host, which computes them in double precision, so that both backends turn by the same angles. The gradient
// is the turn back: `sign` is −1.

// One thread per two pairs of each of the first `heads` heads of a row of `row_width` numbers.
KERNEL(256) rotate(bf16* rows, const float* cosines, const float* sines, u64 threads, u32 heads, u32 width, u32 row_width,
                   u32 length, float sign) {
    u64 thread = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (thread >= threads) return;
    u32 half = width / 2, pairs = half / 2;
    u32 i = 2 * (u32)(thread % pairs);
    u32 head = (u32)(thread / pairs % heads);
    u64 row = thread / pairs / heads;
    u32* first = (u32*)&rows[row * row_width + head * width + i];
    u32* second = (u32*)&rows[row * row_width + head * width + half + i];
    u64 angle = (row % length) * half + i;
    float c0 = cosines[angle], c1 = cosines[angle + 1], s0 = sign * sines[angle], s1 = sign * sines[angle + 1];
    u32 a = *first, b = *second;
    *first = pack(low_of(a) * c0 - low_of(b) * s0, high_of(a) * c1 - high_of(b) * s1);
    *second = pack(low_of(b) * c0 + low_of(a) * s0, high_of(b) * c1 + high_of(a) * s1);
}
