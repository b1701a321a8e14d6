// Attention of a few rows to all that was read before them, whose keys and values are kept from pass to pass.
//
// A position's keys are kept as a row of `keys · width` numbers, and so are its values. With few rows there is nothing
// for tensor cores to do: what counts is that all that is kept is read once.

struct Heads { u32 length, queries, keys, width; float scale; };

static const u32 KEPT_WARPS = 4;

// Keeps keys and values of rows of queries, keys and values; the first row is at position `first`. One thread per two
// numbers of keys, and as many of values.
KERNEL(256) keep_rows(bf16* keys, bf16* values, const bf16* qkv, u64 threads, u32 first, Heads heads) {
    u64 thread = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (thread >= threads) return;
    u32 words = heads.keys * heads.width / 2, before = heads.queries * heads.width / 2;
    u64 row = thread / words, i = thread % words;
    const u32* from = (const u32*)qkv + row * (before + 2 * words) + before;
    u64 to = (first + row) * words + i;
    ((u32*)keys)[to] = from[i];
    ((u32*)values)[to] = from[words + i];
}

// A block has one query head of one row, which attends to positions 0..=first + row. Its four warps take turns with the
// positions; each has a maximum and sums of its own (Milakov and Gimelshein 2018, arXiv 1805.02867), which are put
// together in the order of warps. Heads of at most 128 numbers: a lane has every 32nd.
KERNEL(128) attend_kept(bf16* mixed, const bf16* qkv, const bf16* keys, const bf16* values, u32 first, Heads heads) {
    __shared__ float largest_of[KEPT_WARPS], total_of[KEPT_WARPS], sums_of[KEPT_WARPS][128];
    u32 head = blockIdx.x, row = blockIdx.y, width = heads.width, kept = heads.keys * width;
    const bf16* from = qkv + (u64)row * (heads.queries * width + 2 * kept) + head * width;
    u64 group = head / (heads.queries / heads.keys) * width;
    float query[4], sums[4] = {0.0f, 0.0f, 0.0f, 0.0f}, largest = -infinity(), total = 0;
    for (u32 j = 0; j < 4; j++) {
        u32 i = lane_id() + 32 * j;
        query[j] = i < width ? from_bf16(from[i]) * heads.scale : 0.0f;
    }
    for (u32 at = warp_id(); at <= first + row; at += KEPT_WARPS) {
        const bf16 *key = keys + (u64)at * kept + group, *value = values + (u64)at * kept + group;
        float score = 0;
        for (u32 j = 0; j < 4; j++) {
            u32 i = lane_id() + 32 * j;
            if (i < width) score += query[j] * from_bf16(key[i]);
        }
        score = warp_sum(score);
        float larger = fmaxf(largest, score), shrink = expf(largest - larger), weight = expf(score - larger);
        total = total * shrink + weight;
        for (u32 j = 0; j < 4; j++) {
            u32 i = lane_id() + 32 * j;
            if (i < width) sums[j] = sums[j] * shrink + weight * from_bf16(value[i]);
        }
        largest = larger;
    }
    if (lane_id() == 0) largest_of[warp_id()] = largest, total_of[warp_id()] = total;
    for (u32 j = 0; j < 4; j++) {
        u32 i = lane_id() + 32 * j;
        if (i < width) sums_of[warp_id()][i] = sums[j];
    }
    __syncthreads();
    if (threadIdx.x >= width / 2) return;
    float most = largest_of[0], all = 0, low = 0, high = 0;
    for (u32 warp = 1; warp < KEPT_WARPS; warp++) most = fmaxf(most, largest_of[warp]);
    for (u32 warp = 0; warp < KEPT_WARPS; warp++) {
        // A warp without a position has −∞, and adds nothing.
        float share = largest_of[warp] == -infinity() ? 0.0f : expf(largest_of[warp] - most);
        all += share * total_of[warp];
        low += share * sums_of[warp][2 * threadIdx.x];
        high += share * sums_of[warp][2 * threadIdx.x + 1];
    }
    u64 to = ((u64)row * heads.queries + head) * width / 2 + threadIdx.x;
    ((u32*)mixed)[to] = pack(low / all, high / all);
}
