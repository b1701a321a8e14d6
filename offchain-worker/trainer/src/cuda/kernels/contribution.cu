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

// Where a block lies: `start` in the flat vector, rows of `width` elements that begin `columns` apart.
struct Block {
    u64 start;
    u64 out;  // its first entry among all
    u32 columns, width, length, keep;
};

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

// One block of the grid per block of the model. Entries come in ascending order of their place. `fault` becomes
// 1 if anything is not finite.
KERNEL(256) compress_blocks(u16* places, float* values, float* error, u32* fault, const float* before, const float* after,
                            const Block* blocks, float beta) {
    __shared__ u32 magnitudes[BLOCK + BLOCK / PER_THREAD];
    __shared__ u32 largest[BLOCK];
    __shared__ u16 kept[BLOCK];
    __shared__ u32 levels[3];
    Block block = blocks[blockIdx.x];
    auto index = [&](u32 place) { return block.start + (u64)(place / block.width) * block.columns + place % block.width; };
    for (u32 place = threadIdx.x; place < block.length; place += blockDim.x) {
        u64 at = index(place);
        float x = beta * error[at] + (before[at] - after[at]);
        error[at] = x;
        u32 bits = __float_as_uint(x) & 0x7fffffffu;
        if (bits >= 0x7f800000u) *fault = 1;
        magnitudes[padded(place)] = bits;
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
            largest[slot] = bits;
            kept[slot++] = (u16)place;
        }
    }
    u32 length = 1;
    while (length < block.keep) length *= 2;
    for (u32 i = block.keep + threadIdx.x; i < length; i += blockDim.x) largest[i] = 0xffffffffu;
    __syncthreads();
    sort(largest, length);
    if (threadIdx.x == 0) two_levels(largest, block.keep, levels[0], levels[1], levels[2]);
    __syncthreads();

    for (u32 i = threadIdx.x; i < block.keep; i += blockDim.x) {
        u64 at = index(kept[i]);
        float x = error[at];
        u32 bits = __float_as_uint(x);
        u32 level = (bits & 0x7fffffffu) >= levels[2] ? levels[1] : levels[0];
        // There is no −0 on the wire.
        float sent = level == 0 ? 0.0f : __uint_as_float(level << 16 | (bits & 0x80000000u));
        error[at] = x - sent;
        places[block.out + i] = kept[i];
        values[block.out + i] = sent;
    }
}

// Adds `clip` times what one contribution sent of a tensor. No index comes twice, so no thread meets another;
// contributions follow each other on the stream.
KERNEL(256) add_contribution(float* sums, u16* senders, const u32* indices, const float* values, u32 count, float clip) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    sums[indices[i]] += clip * values[i];
    senders[indices[i]]++;
}

// theta −= rate · sum / max(senders, least), where anybody sent.
KERNEL(256) apply_contributions(float* theta, const float* sums, const u16* senders, u64 length, u32 least, float rate) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= length || senders[i] == 0) return;
    u32 divisor = senders[i] > least ? senders[i] : least;
    theta[i] -= rate * (sums[i] * (1.0f / (float)divisor));
}
