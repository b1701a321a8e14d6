// The gradient's norm, clipping, AdamW, and the bfloat16 copy of the weights, without a word to the host.
//
// Loshchilov and Hutter 2019, arXiv 1711.05101. Every operation of the update is one IEEE operation in the
// CPU's order and nothing is fused (this source is compiled with --fmad=false), so given the same gradient and
// no clipping the weights have the CPU's bits.

// Numbers that one block adds up, 16 per thread.
static const u32 SQUARES_PER_BLOCK = 4096;

// What changes from step to step; written by the host. Both sides know these places.
struct Update {
    double clip_norm;
    float beta1, beta2;
    float rate;        // learning rate over the first moment's bias correction
    float correction;  // one over the second moment's bias correction
    float epsilon;
    float kept;        // what weight decay leaves of a matrix's element
};

// A part of the flat vector that one block updates.
struct Piece {
    u64 start;
    u64 moments;  // where its first moments begin: a rank has those of its shard only
    u64 second;   // where its second moments begin: there are none of Muon's matrices
    u32 length;
    u32 decays;
};

// Sums of the squares of 4,096 numbers each, in double precision.
KERNEL(256) squares(double* partial, const float* gradient, u64 length) {
    u64 start = (u64)blockIdx.x * SQUARES_PER_BLOCK;
    double sum = 0;
    for (u32 i = threadIdx.x; i < SQUARES_PER_BLOCK && start + i < length; i += blockDim.x) {
        double x = gradient[start + i];
        sum += x * x;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// The root of their sum. One block.
KERNEL(1024) gradient_norm(double* norm_out, const double* partial, u32 partials) {
    double sum = 0;
    for (u32 i = threadIdx.x; i < partials; i += blockDim.x) sum += partial[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) *norm_out = sqrt(sum);
}

// One step of AdamW on the block's piece. If the norm or the loss is not finite nothing is changed, and the
// host, which reads both, reports it.
KERNEL(256) adamw(float* weights, bf16* rounded, float* m, float* v, const float* gradient, const Piece* pieces,
                  const Update* update, const double* norm_in, const double* loss) {
    double norm = *norm_in;
    if (!is_finite(norm) || !is_finite(*loss)) return;
    Update u = *update;
    Piece piece = pieces[blockIdx.x];
    float clip = norm > u.clip_norm ? (float)(u.clip_norm / norm) : 1.0f;
    float kept = piece.decays ? u.kept : 1.0f;
    for (u32 i = threadIdx.x; i < piece.length; i += blockDim.x) {
        u64 at = piece.start + i, kept_at = piece.moments + i, second_at = piece.second + i;
        float g = gradient[at] * clip;
        float first = u.beta1 * m[kept_at] + (1.0f - u.beta1) * g;
        float second = u.beta2 * v[second_at] + (1.0f - u.beta2) * (g * g);
        float w = weights[at] * kept - u.rate * first / (sqrtf(second * u.correction) + u.epsilon);
        m[kept_at] = first;
        v[second_at] = second;
        weights[at] = w;
        rounded[at] = (bf16)pack(w, 0.0f);
    }
}

// The bfloat16 copy of floats.
KERNEL(256) round_floats(bf16* rounded, const float* values, u64 length) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < length) rounded[i] = (bf16)pack(values[i], 0.0f);
}
