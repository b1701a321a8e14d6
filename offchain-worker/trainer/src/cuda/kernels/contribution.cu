// A contribution made, and applied, with the bits of the CPU's (crate cairn-gradient).
//
// SparseLoCo (arXiv 2508.15706) with two levels per block: a = β · error + (before − after); of each block of at
// most 4,096 elements the largest |a| are sent, of equal ones those that come first; each as its sign and one of
// two magnitudes, the means of the smaller and of the larger ones, split where the squared error is least;
// error = a − sent. All of it is single IEEE operations in the CPU's order (compiled with --fmad=false), so the
// bits are the same on every machine.

static const u32 BLOCK = 4096;
static const u32 PER_THREAD = 16;
// Above all levels: the bits of 65,536 as bfloat16.
static const u32 LEVEL_LIMIT = 0x4780;

// Bits of a code beside the place within the block: the value has the high level, the value is negative.
static const u16 PLACE = 0x0fff, HIGH = 1 << 14, NEGATIVE = 1 << 15;

// Where a block lies: `start` in the flat vector, rows of `width` elements that begin `columns` apart.
struct Block {
    u64 start;
    u64 out;  // its first code among all
    u32 columns, width, length, keep;
    u32 tensor;  // which tensor it is of
};

// Where a place of a block lies in the flat vector.
DEVICE u64 index_of(const Block& block, u32 place) {
    return block.start + (u64)(place / block.width) * block.columns + place % block.width;
}

// Threads read 16 places that follow each other; a gap after each 16 puts them into different banks.
DEVICE u32 padded(u32 place) { return place + place / PER_THREAD; }

// The sum of x over the threads before this one. Called by all 256.
DEVICE u32 sum_before(u32 x) {
    __shared__ u32 sums[8];
    u32 before = x;
    for (u32 step = 1; step < 32; step *= 2) {
        u32 from = __shfl_sync(0xffffffffu, before, lane_id() - step);
        if (lane_id() >= step) before += from;
    }
    if (lane_id() == 31) sums[warp_id()] = before;
    __syncthreads();
    for (u32 i = 0; i < warp_id(); i++) before += sums[i];
    __syncthreads();
    return before - x;
}

// Ascending, in place; `length` is a power of two (Batcher 1968, bitonic sort).
DEVICE void sort(u32* numbers, u32 length) {
    for (u32 size = 2; size <= length; size *= 2)
        for (u32 step = size / 2; step > 0; step /= 2) {
            for (u32 i = threadIdx.x; i < length; i += blockDim.x) {
                u32 other = i ^ step;
                if (other < i) continue;
                u32 a = numbers[i], b = numbers[other];
                if ((a > b) == ((i & size) == 0)) numbers[i] = b, numbers[other] = a;
            }
            __syncthreads();
        }
}

// The bits of the bfloat16 next to a magnitude, the even one of two, below the limit.
DEVICE u32 level_of(float magnitude) {
    u32 bits = __float_as_uint(magnitude);
    u32 rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return rounded < LEVEL_LIMIT ? rounded : LEVEL_LIMIT - 1;
}

// The two levels of ascending magnitudes, and the bits from which the higher one stands. One thread.
DEVICE void two_levels(const u32* ascending, u32 count, u32& low, u32& high, u32& threshold) {
    double total = 0, below = 0, most = 0, low_mean = 0, high_mean = 0;
    for (u32 i = 0; i < count; i++) total += (double)__uint_as_float(ascending[i]);
    bool found = false;
    for (u32 split = 0; split + 1 < count; split++) {
        below += (double)__uint_as_float(ascending[split]);
        if (ascending[split] == ascending[split + 1]) continue;
        double low_count = (double)split + 1.0, above = total - below;
        double lower = below / low_count, higher = above / ((double)count - low_count);
        double gain = below * lower + above * higher;
        if (!found || gain > most) {
            found = true, most = gain, low_mean = lower, high_mean = higher;
            threshold = ascending[split + 1];
        }
    }
    low = level_of((float)low_mean), high = level_of((float)high_mean);
    if (found && low < high) return;
    low = high = level_of((float)(total / (double)count));
    threshold = 0x7f800000u;
}

// One block of the grid per block of the model. Codes come in ascending order of their place; `levels` gets two per
// block, the low one first. `fault` becomes 1 if anything is not finite. With `turns` those are sent whose turn `turn`
// is, as `cairn_primitives::blocks::Turn` has it: others count for less than any magnitude, which count for one more.
KERNEL(256) compress_blocks(u16* codes, u16* levels, float* error, u32* fault, const float* before, const float* after,
                            const Block* blocks, float beta, u32 turn, u32 turns) {
    __shared__ u32 magnitudes[BLOCK + BLOCK / PER_THREAD];
    __shared__ u32 largest[BLOCK];
    __shared__ u16 kept[BLOCK];
    __shared__ u32 low, high, threshold;
    Block block = blocks[blockIdx.x];
    u32 rows = block.length / block.width, more = turns > 0;
    bool has_none = turn + 2 > rows + block.width;
    auto is_sent = [&](u32 place) {
        if (turns == 0) return true;
        if (has_none) return place == turn % block.length;
        return (place / block.width + place % block.width) % turns == turn;
    };
    for (u32 place = threadIdx.x; place < block.length; place += blockDim.x) {
        u64 at = index_of(block, place);
        float x = beta * error[at] + (before[at] - after[at]);
        error[at] = x;
        u32 bits = __float_as_uint(x) & 0x7fffffffu;
        if (bits >= 0x7f800000u) *fault = 1;
        magnitudes[padded(place)] = is_sent(place) ? bits + more : 0;
    }
    __syncthreads();

    // The smallest magnitude that is sent, bit by bit from the top.
    u32 first = threadIdx.x * PER_THREAD, last = first + PER_THREAD < block.length ? first + PER_THREAD : block.length;
    auto count = [&](u32 least) {
        u32 own = 0;
        for (u32 place = first; place < last; place++) own += magnitudes[padded(place)] >= least;
        return block_sum(own);
    };
    u32 smallest = 0;
    for (u32 bit = 1u << 30; bit > 0; bit >>= 1)
        if (count(smallest | bit) >= block.keep) smallest |= bit;
    u32 equal_sent = block.keep - count(smallest + 1);

    u32 own_equal = 0, own_sent = 0;
    for (u32 place = first; place < last; place++) own_equal += magnitudes[padded(place)] == smallest;
    u32 equal_at = sum_before(own_equal), rank = equal_at;
    for (u32 place = first; place < last; place++) {
        u32 bits = magnitudes[padded(place)];
        own_sent += bits > smallest || (bits == smallest && rank++ < equal_sent);
    }
    u32 slot = sum_before(own_sent);
    rank = equal_at;
    for (u32 place = first; place < last; place++) {
        u32 bits = magnitudes[padded(place)];
        if (bits > smallest || (bits == smallest && rank++ < equal_sent)) {
            largest[slot] = bits - more;
            kept[slot++] = (u16)place;
        }
    }
    u32 length = 1;
    while (length < block.keep) length *= 2;
    for (u32 i = block.keep + threadIdx.x; i < length; i += blockDim.x) largest[i] = 0xffffffffu;
    __syncthreads();
    sort(largest, length);
    if (threadIdx.x == 0) {
        two_levels(largest, block.keep, low, high, threshold);
        levels[2 * blockIdx.x] = (u16)low, levels[2 * blockIdx.x + 1] = (u16)high;
    }
    __syncthreads();

    for (u32 i = threadIdx.x; i < block.keep; i += blockDim.x) {
        u64 at = index_of(block, kept[i]);
        float x = error[at];
        u32 bits = __float_as_uint(x);
        bool is_high = (bits & 0x7fffffffu) >= threshold;
        u32 level = is_high ? high : low;
        // There is no −0 on the wire.
        u32 sign = level == 0 ? 0 : bits & 0x80000000u;
        error[at] = x - __uint_as_float(level << 16 | sign);
        codes[block.out + i] = kept[i] | (is_high ? HIGH : 0) | (sign ? NEGATIVE : 0);
    }
}

// One block of the grid per block of the model: adds up what `senders` contributions, in their order, sent of it, each
// times its factor for the block's tensor, and takes `rate` times the sum over the senders' trust, at least `least`, from
// `theta`. A contribution has `all_codes` codes, two levels for each of the grid's blocks, a factor for each of `tensors`
// and one trust. All sums of trust are below 2^24, which a float holds exactly.
KERNEL(256) step_blocks(float* theta, const u16* codes, const u16* levels, const float* factors, const u16* trusts,
                        const Block* blocks, u64 all_codes, u32 tensors, u32 senders, u32 least, float rate) {
    __shared__ float sums[BLOCK];
    __shared__ u32 trusted[BLOCK];
    Block block = blocks[blockIdx.x];
    for (u32 place = threadIdx.x; place < block.length; place += blockDim.x) sums[place] = 0.0f, trusted[place] = 0;
    for (u32 sender = 0; sender < senders; sender++) {
        const u16* of_block = codes + sender * all_codes + block.out;
        const u16* two = levels + 2 * ((u64)sender * gridDim.x + blockIdx.x);
        float factor = factors[(u64)sender * tensors + block.tensor];
        u32 trust = trusts[sender];
        float low = factor * __uint_as_float((u32)two[0] << 16), high = factor * __uint_as_float((u32)two[1] << 16);
        __syncthreads();
        // No place comes twice in one contribution.
        for (u32 i = threadIdx.x; i < block.keep; i += blockDim.x) {
            u16 code = of_block[i];
            float magnitude = code & HIGH ? high : low;
            sums[code & PLACE] += code & NEGATIVE ? -magnitude : magnitude;
            trusted[code & PLACE] += trust;
        }
    }
    __syncthreads();
    for (u32 place = threadIdx.x; place < block.length; place += blockDim.x) {
        if (trusted[place] == 0) continue;
        u32 divisor = trusted[place] > least ? trusted[place] : least;
        theta[index_of(block, place)] -= rate * (sums[place] * (1.0f / (float)divisor));
    }
}
