// The gated feed-forward unit: silu(gate) · up, with silu(x) = x / (1 + e⁻ˣ). Shazeer 2020, arXiv 2002.05202.
//
// A row holds `width` numbers of gate, then as many of up, since one product makes both. Each thread takes 8
// numbers; widths are multiples of 8.

DEVICE float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

KERNEL(256) swiglu_forward(bf16* hidden, const bf16* gate_up, u64 threads, u32 width) {
    u64 thread = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (thread >= threads) return;
    u64 row = thread / (width / 8), i = 8 * (thread % (width / 8));
    Words4 gate = *(const Words4*)&gate_up[2 * row * width + i], up = *(const Words4*)&gate_up[(2 * row + 1) * width + i];
    Words4 out;
    for (int j = 0; j < 4; j++) {
        float a = low_of(gate.at[j]), b = high_of(gate.at[j]);
        out.at[j] = pack(a * sigmoid(a) * low_of(up.at[j]), b * sigmoid(b) * high_of(up.at[j]));
    }
    *(Words4*)&hidden[row * width + i] = out;
}

// Replaces gate and up by their gradients.
KERNEL(256) swiglu_backward(bf16* gate_up, const bf16* dhidden, u64 threads, u32 width) {
    u64 thread = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (thread >= threads) return;
    u64 row = thread / (width / 8), i = 8 * (thread % (width / 8));
    Words4* gates = (Words4*)&gate_up[2 * row * width + i];
    Words4* ups = (Words4*)&gate_up[(2 * row + 1) * width + i];
    Words4 gate = *gates, up = *ups, dout = *(const Words4*)&dhidden[row * width + i];
    for (int j = 0; j < 4; j++) {
        float dgate[2], dup[2];
        for (int k = 0; k < 2; k++) {
            float g = k ? high_of(gate.at[j]) : low_of(gate.at[j]);
            float u = k ? high_of(up.at[j]) : low_of(up.at[j]);
            float d = k ? high_of(dout.at[j]) : low_of(dout.at[j]);
            float s = sigmoid(g), silu = g * s;
            dgate[k] = d * u * (s + silu * (1.0f - s));
            dup[k] = d * silu;
        }
        gate.at[j] = pack(dgate[0], dgate[1]);
        up.at[j] = pack(dup[0], dup[1]);
    }
    *gates = gate;
    *ups = up;
}
