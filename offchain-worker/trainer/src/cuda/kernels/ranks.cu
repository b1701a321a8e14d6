// What the ranks of several cards bring together. Everything is added in the order of the ranks, by single IEEE
// operations (this source is compiled with --fmad=false): the bits depend on how many ranks there are, and not on
// how numbers came from one card to another.
//
// A card has its own numbers where they are; what came from the others lies rank behind rank, without its own.

DEVICE u32 place(u32 of, u32 rank) { return of < rank ? of : of - 1; }

// `own` becomes the sum over all ranks.
KERNEL(256) add_ranks(float* own, const float* others, u64 length, u32 rank, u32 ranks) {
    u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= length) return;
    float mine = own[i];
    float sum = rank == 0 ? mine : others[i];
    for (u32 of = 1; of < ranks; of++) sum += of == rank ? mine : others[place(of, rank) * length + i];
    own[i] = sum;
}

// The sum of all ranks' losses, and the norm of the vector of which each has the norm of its shard. One block.
KERNEL(32) join_reports(double* report, const double* others, u32 rank, u32 ranks) {
    if (threadIdx.x != 0) return;
    double loss = 0, squares = 0;
    for (u32 of = 0; of < ranks; of++) {
        const double* from = of == rank ? report : others + 2 * place(of, rank);
        loss += from[0];
        squares += from[1] * from[1];
    }
    report[0] = loss;
    report[1] = sqrt(squares);
}
