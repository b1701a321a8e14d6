#include "block.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <numeric>
#include <vector>

thread_local fake::Dim3 threadIdx, blockIdx, blockDim, gridDim;

// ---- Switching stacks (x86-64, System V): saves what a callee must keep, changes the stack, restores it.
extern "C" void fake_switch(void** save, void* to);
asm(R"(
.text
.globl fake_switch
fake_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");

namespace fake {

thread_local Exchange exchange[32][32];
thread_local u8* dynamic_memory;

namespace {

constexpr size_t STACK = 64 << 10;
constexpr u32 MOST_THREADS = 1024;

// A barrier that is released when as many as expected have come.
struct Barrier {
    u32 expected = 0, come = 0, releases = 0;
    int line = 0;
};

struct Copy {
    void* to;
    const void* from;
    bool valid;
};

struct Fiber {
    void* stack = nullptr;
    bool done = false;
    const Barrier* waits = nullptr;  // for the next release of this
    u32 until = 0;
    std::vector<std::vector<Copy>> groups;  // committed copies, oldest first
    std::vector<Copy> open;
};

struct Block {
    std::vector<Fiber> fibers;
    Barrier all, warps[MOST_THREADS / 32];
    const std::function<void()>* body = nullptr;
    void* scheduler = nullptr;
    u32 current = 0;
    std::string fault;
};

thread_local Block block;
thread_local u8* stacks;
// Where a bad memory access of the block that runs on this thread comes back to.
thread_local sigjmp_buf* escape;
thread_local void* bad_address;
struct sigaction before;

void caught(int signal, siginfo_t* info, void* context) {
    if (escape) {
        bad_address = info->si_addr;
        siglongjmp(*escape, 1);
    }
    if (before.sa_flags & SA_SIGINFO && before.sa_sigaction) return before.sa_sigaction(signal, info, context);
    sigaction(signal, &before, nullptr);
}

void catch_bad_accesses() {
    static bool installed = [] {
        struct sigaction action = {};
        action.sa_sigaction = caught;
        action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
        return sigaction(SIGSEGV, &action, &before) == 0;
    }();
    (void)installed;
}

void leave() { fake_switch(&block.fibers[block.current].stack, block.scheduler); }

void enter() {
    (*block.body)();
    Fiber& fiber = block.fibers[block.current];
    if (!fiber.open.empty() || !fiber.groups.empty()) wait_for_copies(0);
    fiber.done = true;
    leave();
}

void wait(Barrier& barrier, int line) {
    if (barrier.come == 0) barrier.line = line;
    if (barrier.line != line && block.fault.empty())
        block.fault = "threads wait at different barriers, lines " + std::to_string(barrier.line) + " and " + std::to_string(line);
    if (++barrier.come == barrier.expected) {
        barrier.come = 0;
        barrier.releases++;
        return;
    }
    Fiber& fiber = block.fibers[block.current];
    fiber.waits = &barrier, fiber.until = barrier.releases + 1;
    leave();
    fiber.waits = nullptr;
}

bool can_run(const Fiber& fiber) { return !fiber.done && (!fiber.waits || fiber.waits->releases >= fiber.until); }

void set_up(const std::function<void()>& body, u32 threads) {
    if (!stacks)
        stacks = (u8*)mmap(nullptr, STACK * MOST_THREADS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    block.body = &body;
    block.fault.clear();
    block.all = {threads};
    for (u32 i = 0; i * 32 < threads; i++) block.warps[i] = {std::min(32u, threads - 32 * i)};
    block.fibers.assign(threads, {});
    for (u32 i = 0; i < threads; i++) {
        // As if `enter` had been called and fake_switch then saved six registers.
        void** top = (void**)(stacks + STACK * (i + 1));
        *--top = nullptr;
        *--top = (void*)enter;
        for (int saved = 0; saved < 6; saved++) *--top = nullptr;
        block.fibers[i].stack = top;
    }
}

void run(u32 thread) {
    block.current = thread;
    threadIdx = {thread, 0, 0};
    fake_switch(&block.scheduler, block.fibers[thread].stack);
}

void schedule(u32 threads, std::mt19937_64* random) {
    std::vector<u32> order(threads);
    std::iota(order.begin(), order.end(), 0);
    for (bool progress = true; progress && block.fault.empty();) {
        progress = false;
        // One random warp runs alone until it is stuck, and its lanes in random order.
        u32 alone = random ? (*random)() % ((threads + 31) / 32) : 0;
        if (random) std::shuffle(order.begin(), order.end(), *random);
        for (int pass = random ? 0 : 1; pass < 2 && !progress; pass++)
            for (u32 thread : order)
                if ((pass == 1 || thread / 32 == alone) && can_run(block.fibers[thread])) {
                    run(thread);
                    progress = true;
                    if (!block.fault.empty()) return;
                }
    }
    u32 stuck = std::count_if(block.fibers.begin(), block.fibers.end(), [](const Fiber& fiber) { return !fiber.done; });
    if (stuck && block.fault.empty()) {
        int line = 0;
        for (const Fiber& fiber : block.fibers)
            if (fiber.waits) line = fiber.waits->line;
        block.fault = std::to_string(stuck) + " of " + std::to_string(threads) + " threads wait for ever at the barrier of line " + std::to_string(line);
    }
}

}  // namespace

void wait_for_block(int line) { wait(block.all, line); }
void wait_for_warp(int line) { wait(block.warps[threadIdx.x / 32], line); }

void wait_for_copies(int pending) {
    auto& groups = block.fibers[block.current].groups;
    for (; (int)groups.size() > pending; groups.erase(groups.begin()))
        for (const Copy& copy : groups.front())
            if (copy.valid)
                memcpy(copy.to, copy.from, 16);
            else
                memset(copy.to, 0, 16);
}

std::string run_block(const std::function<void()>& body, u32 threads, std::mt19937_64* random) {
    catch_bad_accesses();
    set_up(body, threads);
    sigjmp_buf here;
    escape = &here;
    if (sigsetjmp(here, 0) == 0)
        schedule(threads, random);
    else {
        char text[96];
        snprintf(text, sizeof text, "thread %u accesses %p, outside all allocations", block.current, bad_address);
        block.fault = text;
    }
    escape = nullptr;
    return block.fault;
}

}  // namespace fake

void copy_async(void* shared, const void* global, bool valid) {
    if ((uintptr_t)shared % 16 || (uintptr_t)global % 16) raise(SIGSEGV);
    fake::block.fibers[fake::block.current].open.push_back({shared, global, valid});
}

void copy_commit() {
    auto& fiber = fake::block.fibers[fake::block.current];
    fiber.groups.push_back(std::move(fiber.open));
    fiber.open.clear();
}
