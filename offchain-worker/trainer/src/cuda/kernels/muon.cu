// Muon's step of one matrix of a block, but its products: docs/trainer.md has the rule, cuda/muon.rs the order.
//
// Momentum, step and decay are single IEEE operations in the CPU's order (this source is compiled with --fmad=false),
// so given the same gradient and no clipping the momentum has the CPU's bits. What the products take is bfloat16; the
// iteration's linear term stays float.

// Coefficients of the iteration, and what is added to the norm: those of the CPU.
static constexpr float A = 3.4445f, B = -4.7750f, C = 2.0315f;
static constexpr double TINY = 1e-7;

// What changes from step to step; written by the host. Both sides know these places.
struct Numbers {
    double clip_norm;
    double rate;  // learning rate times root mean square
    float momentum;
    float kept;   // what weight decay leaves of an element
};

// m = µ·m + (1 − µ)·g, and step = µ·m + (1 − µ)·g. If the gradient's norm or the loss is not finite nothing is changed,
// and what comes of `step` is used by nobody.
KERNEL(256) nesterov(float* step, float* m, const float* gradient, u64 length, const Numbers* numbers,
                     const double* norm_in, const double* loss) {
    double norm = *norm_in;
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= length || !is_finite(norm) || !is_finite(*loss)) return;
    float clip = norm > numbers->clip_norm ? (float)(numbers->clip_norm / norm) : 1.0f;
    float momentum = numbers->momentum;
    float fresh = (1.0f - momentum) * (gradient[i] * clip);
    float first = momentum * m[i] + fresh;
    m[i] = first;
    step[i] = momentum * first + fresh;
}

// What an iteration begins with: X as the products take it, and a·X, to which P·X is added. With a `norm`, which the
// first has, X is the step over that.
KERNEL(256) begin_iteration(bf16* x, float* step, const double* norm, u64 length) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= length) return;
    float value = step[i];
    if (norm) value = value * (float)(1.0 / (*norm + TINY));
    x[i] = (bf16)pack(value, 0.0f);
    step[i] = A * value;
}

// P = b·S + c·S·S, of which `fourth` is S·S.
KERNEL(256) polynomial(bf16* p, const bf16* square, const float* fourth, u64 length) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < length) p[i] = (bf16)pack(B * from_bf16(square[i]) + C * fourth[i], 0.0f);
}

// w = w·kept − rate·√longer·step, and its bfloat16 copy; nothing if the gradient's norm or the loss is not finite.
KERNEL(256) descend(float* weights, bf16* rounded, const float* step, u64 length, u32 longer, const Numbers* numbers,
                    const double* norm, const double* loss) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= length || !is_finite(*norm) || !is_finite(*loss)) return;
    float rate = (float)(numbers->rate * sqrt((double)longer));
    float w = weights[i] * numbers->kept - rate * step[i];
    weights[i] = w;
    rounded[i] = (bf16)pack(w, 0.0f);
}
