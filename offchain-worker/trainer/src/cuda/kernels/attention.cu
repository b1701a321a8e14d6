// Causal grouped-query attention on tensor cores; no matrix of length² ever exists.
//
// FlashAttention-2 (Dao 2023, arXiv 2307.08691): a block of four warps holds 64 queries, 16 per warp, and
// walks over tiles of keys, keeping for each query the largest score so far and the sum of exponentials
// relative to it. Backwards, probabilities are computed again from the row's log-sum-exp. Where that paper
// adds up dQ by atomics, this makes two passes, one that owns keys (dK, dV) and one that owns queries (dQ):
// the scores are computed twice, and the result depends on no order of arrival. Keys and values that several
// query heads share (Ainslie et al. 2023, arXiv 2305.13245) get their gradients in one block, head by head.
//
// A row of `qkv` has the query heads, then the key heads, then the value heads. Kernels exist for heads of up
// to 16, 32, 64 and 128 numbers (WIDTH); the real width is a multiple of 8, the rest is zeros. Tiles in
// shared memory have 8 numbers between rows, so that the eight rows of a matrix lie in different banks.
//
// Scores are in units of log₂: 2^(score · scale · log₂e) = e^(score · scale).

static const int THREADS = 128;
static const int TILE = 64;

// How heads lie; passed by value.
struct Heads {
    u32 length;   // positions of a window
    u32 queries;  // query heads
    u32 keys;     // key heads, and value heads
    u32 width;    // numbers in a head
    float scale;  // 1/√width

    DEVICE_MEMBER u32 row() const { return (queries + 2 * keys) * width; }
    DEVICE_MEMBER u32 group() const { return queries / keys; }
    DEVICE_MEMBER float scale_log2() const { return scale * 1.4426950408889634f; }
};

// Copies `rows` rows of a head, from row `first` on, into a tile; what lies beyond length or width is zeros.
template <int WIDTH> DEVICE void load_tile(bf16* tile, const bf16* head, u32 first, int rows, u32 length, u32 width, u32 stride) {
    constexpr int CHUNKS = WIDTH / 8;
    for (int i = threadIdx.x; i < rows * CHUNKS; i += THREADS) {
        int row = i / CHUNKS, column = 8 * (i % CHUNKS);
        bool valid = first + row < length && column < (int)width;
        const bf16* from = valid ? head + (u64)(first + row) * stride + column : head;
        copy_async(tile + row * (WIDTH + 8) + column, from, valid);
    }
}

// The lane's address within a tile for the left factor of 16 rows and 16 columns of the inner dimension.
template <int WIDTH> DEVICE const bf16* left_at(const bf16* tile, int row, int inner) {
    return tile + (row + (lane_id() & 15)) * (WIDTH + 8) + inner + 8 * (lane_id() >> 4);
}

// For two right factors of 8 columns each, whose columns are the tile's rows.
template <int WIDTH> DEVICE const bf16* right_rows_at(const bf16* tile, int column, int inner) {
    return tile + (column + (lane_id() & 7) + 8 * (lane_id() >> 4)) * (WIDTH + 8) + inner + (lane_id() & 8);
}

// For two right factors of 8 columns each, whose inner dimension is the tile's rows (loaded transposed).
template <int WIDTH> DEVICE const bf16* right_columns_at(const bf16* tile, int inner, int column) {
    return tile + (inner + (lane_id() & 15)) * (WIDTH + 8) + column + 8 * (lane_id() >> 4);
}

// scores[16, 8·N] = left[16, WIDTH] · rows[8·N, WIDTH]ᵀ, the left factor already in registers.
template <int WIDTH, int N> DEVICE void scores_of(float (&scores)[N][4], const u32 (&left)[WIDTH / 16][4], const bf16* rows) {
    for (int n = 0; n < N; n++)
        for (int e = 0; e < 4; e++) scores[n][e] = 0;
#pragma unroll
    for (int k = 0; k < WIDTH / 16; k++)
#pragma unroll
        for (int n = 0; n < N; n += 2) {
            u32 right[4];
            load_matrices(right, right_rows_at<WIDTH>(rows, 8 * n, 16 * k));
            mma(scores[n], left[k], right[0], right[1]);
            mma(scores[n + 1], left[k], right[2], right[3]);
        }
}

// The same with the left factor in a tile, from row `row` on.
template <int WIDTH, int N> DEVICE void scores_of(float (&scores)[N][4], const bf16* left_tile, int row, const bf16* rows) {
    for (int n = 0; n < N; n++)
        for (int e = 0; e < 4; e++) scores[n][e] = 0;
    // Unrolled further, loads run ahead until registers are short.
#pragma unroll 4
    for (int k = 0; k < WIDTH / 16; k++) {
        u32 left[4];
        load_matrices(left, left_at<WIDTH>(left_tile, row, 16 * k));
#pragma unroll
        for (int n = 0; n < N; n += 2) {
            u32 right[4];
            load_matrices(right, right_rows_at<WIDTH>(rows, 8 * n, 16 * k));
            mma(scores[n], left, right[0], right[1]);
            mma(scores[n + 1], left, right[2], right[3]);
        }
    }
}

// sum[16, WIDTH] += weights[16, 8·N] · rows[8·N, WIDTH]. An accumulator of mma has the layout of a left factor.
template <int WIDTH, int N> DEVICE void add_weighted(float (&sum)[WIDTH / 8][4], const float (&weights)[N][4], const bf16* rows) {
#pragma unroll
    for (int k = 0; k < N / 2; k++) {
        u32 left[4] = {pack(weights[2 * k][0], weights[2 * k][1]), pack(weights[2 * k][2], weights[2 * k][3]),
                       pack(weights[2 * k + 1][0], weights[2 * k + 1][1]), pack(weights[2 * k + 1][2], weights[2 * k + 1][3])};
#pragma unroll
        for (int n = 0; n < WIDTH / 8; n += 2) {
            u32 right[4];
            load_matrices_transposed(right, right_columns_at<WIDTH>(rows, 16 * k, 8 * n));
            mma(sum[n], left, right[0], right[1]);
            mma(sum[n + 1], left, right[2], right[3]);
        }
    }
}

// Row within 16 and column of element e of an mma accumulator's n-th 8 columns.
DEVICE int row_of(int e) { return (lane_id() >> 2) + 8 * (e >> 1); }
DEVICE int column_of(int n, int e) { return 8 * n + 2 * (lane_id() & 3) + (e & 1); }

// The sum over the four lanes that share a row.
DEVICE float row_sum(float x) {
    x += __shfl_xor_sync(0xffffffffu, x, 1);
    return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

DEVICE float row_max(float x) {
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
    return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}

// Writes 16 rows of accumulators, row `first` on, each times its factor.
template <int WIDTH> DEVICE void store_rows(bf16* head, const float (&rows)[WIDTH / 8][4], u32 first, u32 length, u32 width,
                                            u32 stride, float factor0, float factor1) {
#pragma unroll
    for (int n = 0; n < WIDTH / 8; n++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            u32 row = first + row_of(2 * half), column = column_of(n, 0);
            float factor = half ? factor1 : factor0;
            if (row < length && column < width)
                *(u32*)&head[(u64)row * stride + column] = pack(rows[n][2 * half] * factor, rows[n][2 * half + 1] * factor);
        }
}

// Grid: ⌈length / 64⌉ tiles of queries, query heads, windows. Leaves each row's log-sum-exp, in units of log₂,
// in lse[window, head, position].
template <int WIDTH> DEVICE void forward(bf16* out, float* lse, const bf16* qkv, Heads h) {
    constexpr int STRIDE = WIDTH + 8, N = TILE / 8;
    DYNAMIC_SHARED;
    bf16* key_tiles = (bf16*)dynamic_shared;
    bf16* value_tiles = key_tiles + 2 * TILE * STRIDE;
    // Long rows of tiles first, so that none is left over when the others are done.
    u32 tile = gridDim.x - 1 - blockIdx.x, head = blockIdx.y, window = blockIdx.z, row = h.row();
    qkv += (u64)window * h.length * row;
    const bf16* keys = qkv + (h.queries + head / h.group()) * h.width;
    const bf16* values = keys + h.keys * h.width;
    u32 first = tile * TILE;

    // The queries pass through the second tile of keys into registers.
    load_tile<WIDTH>(key_tiles + TILE * STRIDE, qkv + head * h.width, first, TILE, h.length, h.width, row);
    copy_commit();
    load_tile<WIDTH>(key_tiles, keys, 0, TILE, h.length, h.width, row);
    load_tile<WIDTH>(value_tiles, values, 0, TILE, h.length, h.width, row);
    copy_commit();
    copy_wait<1>();
    __syncthreads();
    u32 queries[WIDTH / 16][4];
#pragma unroll
    for (int k = 0; k < WIDTH / 16; k++)
        load_matrices(queries[k], left_at<WIDTH>(key_tiles + TILE * STRIDE, 16 * warp_id(), 16 * k));
    __syncthreads();

    float sum[WIDTH / 8][4] = {}, largest[2] = {-infinity(), -infinity()}, total[2] = {0, 0};
    for (u32 at = 0; at <= tile; at++) {
        int buffer = at & 1;
        if (at < tile) {
            load_tile<WIDTH>(key_tiles + (buffer ^ 1) * TILE * STRIDE, keys, (at + 1) * TILE, TILE, h.length, h.width, row);
            load_tile<WIDTH>(value_tiles + (buffer ^ 1) * TILE * STRIDE, values, (at + 1) * TILE, TILE, h.length, h.width, row);
        }
        copy_commit();
        copy_wait<1>();
        __syncthreads();
        float p[N][4];
        scores_of<WIDTH, N>(p, queries, key_tiles + buffer * TILE * STRIDE);
        if (at == tile) {
            for (int n = 0; n < N; n++)
                for (int e = 0; e < 4; e++)
                    if (column_of(n, e) > 16 * (int)warp_id() + row_of(e)) p[n][e] = -infinity();
        }
        for (int half = 0; half < 2; half++) {
            float larger = largest[half];
            for (int n = 0; n < N; n++) larger = fmaxf(larger, fmaxf(p[n][2 * half], p[n][2 * half + 1]));
            larger = row_max(larger);
            float shrink = exp2f((largest[half] - larger) * h.scale_log2());
            largest[half] = larger;
            total[half] *= shrink;
            for (int n = 0; n < WIDTH / 8; n++) sum[n][2 * half] *= shrink, sum[n][2 * half + 1] *= shrink;
            for (int n = 0; n < N; n++)
                for (int e = 2 * half; e < 2 * half + 2; e++) {
                    p[n][e] = exp2f((p[n][e] - larger) * h.scale_log2());
                    total[half] += p[n][e];
                }
        }
        add_weighted<WIDTH, N>(sum, p, value_tiles + buffer * TILE * STRIDE);
        __syncthreads();
    }
    float totals[2] = {row_sum(total[0]), row_sum(total[1])};
    u32 own = first + 16 * warp_id();
    store_rows<WIDTH>(out + ((u64)window * h.length * h.queries + head) * h.width, sum, own, h.length, h.width,
                      h.queries * h.width, 1.0f / totals[0], 1.0f / totals[1]);
    for (int half = 0; half < 2; half++) {
        u32 query = own + row_of(2 * half);
        if ((lane_id() & 3) == 0 && query < h.length)
            lse[((u64)window * h.queries + head) * h.length + query] = largest[half] * h.scale_log2() + log2f(totals[half]);
    }
}

// Probability of a score, and zero where the query may not see the key.
DEVICE float probability(float score, float lse, bool visible, float scale_log2) {
    return visible ? exp2f(score * scale_log2 - lse) : 0.0f;
}

// The gradients of keys and values. Grid: ⌈length / 64⌉ tiles of keys, key heads, windows.
// A warp owns 16 keys; scores are transposed, [keys, queries].
template <int WIDTH> DEVICE void backward_keys(bf16* dqkv, const bf16* dout, const float* lse, const float* delta,
                                               const bf16* qkv, Heads h) {
    // Queries at a time: what leaves the accumulators of wide heads in registers.
    constexpr int STRIDE = WIDTH + 8, AT_ONCE = WIDTH > 64 ? 32 : 64, N = AT_ONCE / 8;
    DYNAMIC_SHARED;
    bf16* key_tile = (bf16*)dynamic_shared;
    bf16* value_tile = key_tile + TILE * STRIDE;
    bf16* query_tiles = value_tile + TILE * STRIDE;
    bf16* dout_tiles = query_tiles + 2 * AT_ONCE * STRIDE;
    u32 key_head = blockIdx.y, window = blockIdx.z, row = h.row(), out_row = h.queries * h.width;
    qkv += (u64)window * h.length * row;
    dout += (u64)window * h.length * out_row;
    u32 key_at = (h.queries + key_head) * h.width, value_at = key_at + h.keys * h.width;
    u32 first = blockIdx.x * TILE, own = first + 16 * warp_id();

    // The queries of each head that shares the keys, from the keys' own position on.
    u32 last_head = (key_head + 1) * h.group();
    auto load = [&](u32 head, u32 from, int buffer) {
        load_tile<WIDTH>(query_tiles + buffer * AT_ONCE * STRIDE, qkv + head * h.width, from, AT_ONCE, h.length, h.width, row);
        load_tile<WIDTH>(dout_tiles + buffer * AT_ONCE * STRIDE, dout + head * h.width, from, AT_ONCE, h.length, h.width, out_row);
    };
    load_tile<WIDTH>(key_tile, qkv + key_at, first, TILE, h.length, h.width, row);
    load_tile<WIDTH>(value_tile, qkv + value_at, first, TILE, h.length, h.width, row);
    load(key_head * h.group(), first, 0);
    copy_commit();

    float dkeys[WIDTH / 8][4] = {}, dvalues[WIDTH / 8][4] = {};
    int buffer = 0;
    for (u32 head = key_head * h.group(), from = first; head < last_head; buffer ^= 1) {
        bool more = from + AT_ONCE < h.length;
        u32 next_head = more ? head : head + 1, next_from = more ? from + AT_ONCE : first;
        if (next_head < last_head) load(next_head, next_from, buffer ^ 1);
        copy_commit();
        copy_wait<1>();
        __syncthreads();
        u32 stats = (blockIdx.z * h.queries + head) * h.length + from;
        const bf16* query_tile = query_tiles + buffer * AT_ONCE * STRIDE;
        const bf16* dout_tile = dout_tiles + buffer * AT_ONCE * STRIDE;
        float p[N][4], dp[N][4];
        scores_of<WIDTH, N>(p, key_tile, 16 * warp_id(), query_tile);
        for (int n = 0; n < N; n++)
            for (int e = 0; e < 4; e++) {
                u32 query = from + column_of(n, e);
                bool visible = query < h.length && query >= own + row_of(e);
                p[n][e] = probability(p[n][e], visible ? lse[stats + column_of(n, e)] : 0.0f, visible, h.scale_log2());
            }
        add_weighted<WIDTH, N>(dvalues, p, dout_tile);
        scores_of<WIDTH, N>(dp, value_tile, 16 * warp_id(), dout_tile);
        for (int n = 0; n < N; n++)
            for (int e = 0; e < 4; e++) {
                float mean = from + column_of(n, e) < h.length ? delta[stats + column_of(n, e)] : 0.0f;
                dp[n][e] = p[n][e] * (dp[n][e] - mean) * h.scale;
            }
        add_weighted<WIDTH, N>(dkeys, dp, query_tile);
        __syncthreads();
        head = next_head, from = next_from;
    }
    dqkv += (u64)blockIdx.z * h.length * row;
    store_rows<WIDTH>(dqkv + key_at, dkeys, own, h.length, h.width, row, 1.0f, 1.0f);
    store_rows<WIDTH>(dqkv + value_at, dvalues, own, h.length, h.width, row, 1.0f, 1.0f);
}

// The gradients of queries. Grid: ⌈length / 64⌉ tiles of queries, query heads, windows.
template <int WIDTH> DEVICE void backward_queries(bf16* dqkv, const bf16* dout, const float* lse, const float* delta,
                                                  const bf16* qkv, Heads h) {
    constexpr int STRIDE = WIDTH + 8, AT_ONCE = WIDTH > 64 ? 32 : 64, N = AT_ONCE / 8;
    DYNAMIC_SHARED;
    bf16* query_tile = (bf16*)dynamic_shared;
    bf16* dout_tile = query_tile + TILE * STRIDE;
    bf16* key_tiles = dout_tile + TILE * STRIDE;
    bf16* value_tiles = key_tiles + 2 * AT_ONCE * STRIDE;
    u32 tile = gridDim.x - 1 - blockIdx.x, head = blockIdx.y, window = blockIdx.z, row = h.row();
    qkv += (u64)window * h.length * row;
    dout += (u64)window * h.length * h.queries * h.width;
    const bf16* keys = qkv + (h.queries + head / h.group()) * h.width;
    const bf16* values = keys + h.keys * h.width;
    u32 first = tile * TILE, own = first + 16 * warp_id();

    auto load = [&](u32 at) {
        int buffer = at & 1;
        load_tile<WIDTH>(key_tiles + buffer * AT_ONCE * STRIDE, keys, at * AT_ONCE, AT_ONCE, h.length, h.width, row);
        load_tile<WIDTH>(value_tiles + buffer * AT_ONCE * STRIDE, values, at * AT_ONCE, AT_ONCE, h.length, h.width, row);
    };
    load_tile<WIDTH>(query_tile, qkv + head * h.width, first, TILE, h.length, h.width, row);
    load_tile<WIDTH>(dout_tile, dout + head * h.width, first, TILE, h.length, h.width, h.queries * h.width);
    load(0);
    copy_commit();

    float kept_lse[2], kept_delta[2];
    for (int half = 0; half < 2; half++) {
        u32 query = own + row_of(2 * half);
        u64 at = ((u64)window * h.queries + head) * h.length + query;
        kept_lse[half] = query < h.length ? lse[at] : 0.0f;
        kept_delta[half] = query < h.length ? delta[at] : 0.0f;
    }
    float dqueries[WIDTH / 8][4] = {};
    u32 end = first + TILE < h.length ? first + TILE : h.length, tiles = (end + AT_ONCE - 1) / AT_ONCE;
    for (u32 at = 0; at < tiles; at++) {
        if (at + 1 < tiles) load(at + 1);
        copy_commit();
        copy_wait<1>();
        __syncthreads();
        const bf16* key_tile = key_tiles + (at & 1) * AT_ONCE * STRIDE;
        float p[N][4], dp[N][4];
        scores_of<WIDTH, N>(p, query_tile, 16 * warp_id(), key_tile);
        scores_of<WIDTH, N>(dp, dout_tile, 16 * warp_id(), value_tiles + (at & 1) * AT_ONCE * STRIDE);
        for (int n = 0; n < N; n++)
            for (int e = 0; e < 4; e++) {
                u32 query = own + row_of(e), key = at * AT_ONCE + column_of(n, e);
                float probable = probability(p[n][e], kept_lse[e >> 1], query < h.length && key <= query, h.scale_log2());
                dp[n][e] = probable * (dp[n][e] - kept_delta[e >> 1]) * h.scale;
            }
        add_weighted<WIDTH, N>(dqueries, dp, key_tile);
        __syncthreads();
    }
    store_rows<WIDTH>(dqkv + (u64)window * h.length * row + head * h.width, dqueries, own, h.length, h.width, row, 1.0f, 1.0f);
}

// delta[window, head, position] = Σ out · dout over the head: what every score's gradient is lessened by.
// One warp per row and head.
KERNEL(256) attention_delta(float* delta, const bf16* out, const bf16* dout, u64 warps, Heads h) {
    u64 warp = (u64)blockIdx.x * (blockDim.x / 32) + warp_id();
    if (warp >= warps) return;
    u32 head = (u32)(warp % h.queries);
    u64 row = warp / h.queries, start = row * h.queries * h.width + head * h.width;
    float sum = 0;
    for (u32 i = 2 * lane_id(); i < h.width; i += 64) {
        u32 a = *(const u32*)&out[start + i], b = *(const u32*)&dout[start + i];
        sum += low_of(a) * low_of(b) + high_of(a) * high_of(b);
    }
    sum = warp_sum(sum);
    if (lane_id() == 0) delta[(row / h.length * h.queries + head) * h.length + row % h.length] = sum;
}

#define ATTENTION(WIDTH)                                                                                            \
    KERNEL(128) attention_forward_##WIDTH(bf16* out, float* lse, const bf16* qkv, Heads h) {                        \
        forward<WIDTH>(out, lse, qkv, h);                                                                           \
    }                                                                                                               \
    KERNEL(128) attention_backward_keys_##WIDTH(bf16* dqkv, const bf16* dout, const float* lse, const float* delta, \
                                                const bf16* qkv, Heads h) {                                         \
        backward_keys<WIDTH>(dqkv, dout, lse, delta, qkv, h);                                                       \
    }                                                                                                               \
    KERNEL(128) attention_backward_queries_##WIDTH(bf16* dqkv, const bf16* dout, const float* lse, const float* delta, \
                                                   const bf16* qkv, Heads h) {                                      \
        backward_queries<WIDTH>(dqkv, dout, lse, delta, qkv, h);                                                    \
    }

// The host compiles the width that its model needs; without a choice, all.
#if !defined(HEAD_WIDTH) || HEAD_WIDTH == 16
ATTENTION(16)
#endif
#if !defined(HEAD_WIDTH) || HEAD_WIDTH == 32
ATTENTION(32)
#endif
#if !defined(HEAD_WIDTH) || HEAD_WIDTH == 64
ATTENTION(64)
#endif
#if !defined(HEAD_WIDTH) || HEAD_WIDTH == 128
ATTENTION(128)
#endif
