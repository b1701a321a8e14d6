// The part of the CUDA driver's API that the trainer uses, with kernels that run on the CPU.
//
// Built with cublaslt.cpp into one libcuda.so that the tests open before cudarc looks for one. What it gives
// beyond a result: an inaccessible page at one end of every allocation, memory that begins as NaN, blocks in
// random order and warps that run ahead (block.h), captured graphs, and faults on demand.
#include "driver.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <vector>

#include "block.h"

namespace fake {
namespace {

constexpr size_t PAGE = 4096;
constexpr u32 MOST_SHARED = 227 << 10;  // an H100's

struct Allocation {
    void* map;
    size_t mapped, size;
};

// Set by a test, for its own thread.
thread_local struct {
    u64 seed = 0;                      // of the schedule; 0: threads in order
    u64 memory = 8ull << 30;           // of the card
    int version = 13000;               // of CUDA that the driver speaks
    long long launches = -1;           // until the card fails; −1: never
    int cards = 1;                     // that the driver sees
} wanted;
// The same for a card, whichever thread uses it; and whether its context answers no call any more.
struct Launches {
    std::atomic<long long> left{-1};
    std::atomic<bool> broken{false};
};
Launches launches_of[CARDS];
thread_local void* current = nullptr;  // context
thread_local std::mt19937_64 randomness;
thread_local std::string last_fault;
thread_local u64 in_use;
thread_local u64 copied;  // bytes from the card to the host

std::mutex lock;
std::map<u64, Allocation> allocations;

bool is_broken() { return launches_of[current_card()].broken; }

int allocate(u64* address, size_t size) {
    if (size == 0) return 1;
    if (is_broken()) return 719;
    if (in_use + size > wanted.memory) return 2;  // CUDA_ERROR_OUT_OF_MEMORY
    size_t mapped = (size + PAGE - 1) / PAGE * PAGE + PAGE;
    u8* map = (u8*)mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return 2;
    // The page that must not be touched lies behind, or, under some seeds, before.
    bool before = wanted.seed % 2 == 1;
    u8* begin = before ? map + PAGE : map + mapped - PAGE - (size + 15) / 16 * 16;
    mprotect(before ? map : map + mapped - PAGE, PAGE, PROT_NONE);
    memset(begin, 0xff, size);  // NaN as float, double and bfloat16
    std::lock_guard guard(lock);
    allocations[(u64)begin] = {map, mapped, size};
    in_use += size;
    *address = (u64)begin;
    return 0;
}

int release(u64 address) {
    std::lock_guard guard(lock);
    auto found = allocations.find(address);
    if (found == allocations.end()) return 1;
    munmap(found->second.map, found->second.mapped);
    in_use -= std::min<u64>(in_use, found->second.size);
    allocations.erase(found);
    return 0;
}

// ---- Streams and graphs. A stream runs what it is given at once, unless it is being captured.
struct Stream {
    int card = current_card();
    bool capturing = false;
    std::vector<Work> captured;
};
using Graph = std::vector<Work>;

bool has_failed() { return is_broken() || wanted.launches == 0 || launches_of[current_card()].left == 0; }

// Whether a stream is of a card that is not the thread's. A real driver refuses some calls then, and others not.
bool is_foreign(void* stream) {
    if (!stream || card_of(stream) == current_card()) return false;
    last_fault = "a stream of another card than the thread's";
    return true;
}

int launch(const Kernel& kernel, Dim3 grid, Dim3 threads, u32 shared, std::vector<void*> arguments) {
    if (has_failed()) {
        last_fault = "the card fell off the bus";
        return 719;  // CUDA_ERROR_LAUNCH_FAILED
    }
    if (wanted.launches > 0) wanted.launches--;
    if (launches_of[current_card()].left > 0) launches_of[current_card()].left--;
    u64 blocks = (u64)grid.x * grid.y * grid.z;
    if (!blocks || threads.y != 1 || threads.z != 1 || !threads.x || threads.x > kernel.threads || shared > MOST_SHARED ||
        grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535) {
        last_fault = "no card could launch " + std::string(kernel.name) + " so";
        return 1;  // CUDA_ERROR_INVALID_VALUE
    }
    std::vector<u64> order(blocks);
    std::iota(order.begin(), order.end(), 0);
    if (wanted.seed) std::shuffle(order.begin(), order.end(), randomness);
    gridDim = grid, blockDim = threads;
    std::vector<u8> memory(shared + 128);
    dynamic_memory = (u8*)(((uintptr_t)memory.data() + 127) & ~(uintptr_t)127);
    std::function<void()> body = [&] { kernel.call(arguments.data()); };
    for (u64 at : order) {
        blockIdx = {(u32)(at % grid.x), (u32)(at / grid.x % grid.y), (u32)(at / grid.x / grid.y)};
        memset(dynamic_memory, 0xff, shared);
        std::string fault = run_block(body, threads.x, wanted.seed ? &randomness : nullptr);
        if (!fault.empty()) {
            last_fault = std::string(kernel.name) + ": " + fault;
            fprintf(stderr, "cuda-on-cpu: %s\n", last_fault.c_str());
            return fault.find("allocations") == std::string::npos ? 719 : 700;  // launch failed, illegal address
        }
    }
    return 0;
}

// The kernels of which a cubin (an ELF file) has machine code, so that what NVRTC was given and what runs here
// cannot come apart.
struct Module {
    std::vector<const Kernel*> kernels;
};

Module* load(const u8* image) {
    u64 sections;
    u16 size, count;
    memcpy(&sections, image + 0x28, 8), memcpy(&size, image + 0x3a, 2), memcpy(&count, image + 0x3c, 2);
    const u8* end = image + sections + (u64)size * count;
    Module* module = new Module;
    for (const Kernel& kernel : kernels()) {
        std::string section = std::string(".text.") + kernel.name;
        if (std::search(image, end, section.c_str(), section.c_str() + section.size() + 1) != end)
            module->kernels.push_back(&kernel);
    }
    return module;
}

}  // namespace

__attribute__((visibility("default"))) int current_card() { return current ? (int)((uintptr_t)current / 16) - 1 : 0; }
__attribute__((visibility("default"))) int card_of(void* stream) { return ((Stream*)stream)->card; }

__attribute__((visibility("default"))) int enqueue(void* stream, Work work) {
    if (is_foreign(stream)) return 201;  // CUDA_ERROR_INVALID_CONTEXT
    Stream* to = (Stream*)stream;
    if (to && to->capturing) {
        to->captured.push_back(std::move(work));
        return 0;
    }
    return work();
}

}  // namespace fake

using namespace fake;
#define API extern "C" __attribute__((visibility("default")))

// ---- What tests ask for; all of it for the calling thread.
API void fake_cuda_seed(u64 seed) {
    wanted.seed = seed;
    randomness.seed(seed);
}
API void fake_cuda_memory(u64 bytes) { wanted.memory = bytes; }
API void fake_cuda_version(int version) { wanted.version = version; }
API void fake_cuda_fail_after(long long launches) { wanted.launches = launches; }
API void fake_cuda_cards(int cards) { wanted.cards = cards; }
API void fake_cuda_fail_card_after(int card, long long launches) { launches_of[card].left = launches; }
API void fake_cuda_broken(int card, int broken) { launches_of[card].broken = broken; }
API u64 fake_cuda_copied() { return copied; }
API const char* fake_cuda_last_fault() { return last_fault.c_str(); }

// ---- The driver's API, in the order of its manual.
API int cuInit(u32) { return 0; }
API int cuDriverGetVersion(int* version) { return *version = wanted.version, 0; }
API int cuGetErrorName(int error, const char** name) {
    *name = error == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : error == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS" : error == 719 ? "CUDA_ERROR_LAUNCH_FAILED" : "CUDA_ERROR";
    return 0;
}
API int cuGetErrorString(int, const char** text) { return *text = last_fault.empty() ? "simulated" : last_fault.c_str(), 0; }
API int cuDeviceGetCount(int* count) { return *count = wanted.cards, 0; }
API int cuDeviceGet(int* device, int ordinal) { return *device = ordinal, ordinal < wanted.cards ? 0 : 101; }
API int cuDeviceGetName(char* name, int size, int device) {
    return snprintf(name, size, device == CARDS - 1 ? "another CUDA on the CPU" : "CUDA on the CPU"), 0;
}
API int cuDeviceTotalMem_v2(size_t* bytes, int) { return *bytes = wanted.memory, 0; }
API int cuDeviceGetAttribute(int* value, int attribute, int) {
    switch (attribute) {
        case 13: return *value = 1'000'000, 0;    // clock, kHz
        case 16: return *value = 132, 0;          // multiprocessors
        case 36: return *value = 1'000'000, 0;    // memory clock, kHz
        case 37: return *value = 4096, 0;         // bits of the memory bus
        case 75: return *value = 9, 0;            // compute capability 9.0
        case 97: return *value = MOST_SHARED, 0;  // shared memory that a block may ask for
        case 115: return *value = 1, 0;           // memory pools
        default: return *value = 0, 0;
    }
}
API int cuDevicePrimaryCtxRetain(void** context, int device) {
    if (wanted.memory == 0) return 2;  // a context takes some, too
    return *context = (void*)(16ull * (device + 1)), 0;
}
API int cuDevicePrimaryCtxRelease_v2(int) { return 0; }
API int cuCtxGetCurrent(void** context) { return *context = current, 0; }
API int cuCtxSetCurrent(void* context) { return current = context, 0; }
API int cuCtxSynchronize() { return 0; }
API int cuModuleLoadData(void** module, const void* image) {
    if (is_broken()) return 719;
    if (memcmp(image, "\x7f" "ELF", 4)) return 200;  // CUDA_ERROR_INVALID_IMAGE
    return *module = load((const u8*)image), 0;
}
API int cuModuleUnload(void* module) { return delete (Module*)module, 0; }
API int cuModuleGetFunction(void** function, void* module, const char* name) {
    for (const Kernel* kernel : ((Module*)module)->kernels)
        if (!strcmp(kernel->name, name)) return *function = (void*)kernel, 0;
    return 500;  // CUDA_ERROR_NOT_FOUND
}
API int cuFuncGetAttribute(int* value, int, void*) { return *value = 0, 0; }
API int cuFuncSetAttribute(void*, int, int) { return 0; }
API int cuMemGetInfo_v2(size_t* unused, size_t* total) {
    if (is_broken()) return 719;
    *total = wanted.memory, *unused = wanted.memory - std::min<u64>(in_use, wanted.memory);
    return 0;
}
API int cuMemAlloc_v2(u64* address, size_t size) { return allocate(address, size); }
API int cuMemAllocAsync(u64* address, size_t size, void* stream) {
    return stream && ((Stream*)stream)->capturing ? 900 : allocate(address, size);
}
API int cuMemFree_v2(u64 address) { return release(address); }
API int cuMemFreeAsync(u64 address, void*) { return release(address); }
API int cuMemsetD8Async(u64 to, u8 value, size_t size, void* stream) {
    return enqueue(stream, [=] { return memset((void*)to, value, size), 0; });
}
API int cuMemcpyHtoDAsync_v2(u64 to, const void* from, size_t size, void* stream) {
    if (is_foreign(stream)) return 201;
    // Memory that is not pinned cannot be copied in a capture.
    if (stream && ((Stream*)stream)->capturing) return 900;
    return memcpy((void*)to, from, size), 0;
}
API int cuMemcpyDtoHAsync_v2(void* to, u64 from, size_t size, void* stream) {
    if (is_foreign(stream)) return 201;
    if (stream && ((Stream*)stream)->capturing) return 900;
    copied += size;
    return memcpy(to, (const void*)from, size), has_failed() ? 719 : 0;
}
API int cuMemcpyDtoDAsync_v2(u64 to, u64 from, size_t size, void* stream) {
    return enqueue(stream, [=] { return memmove((void*)to, (const void*)from, size), 0; });
}
API int cuStreamCreate(void** stream, u32) {
    if (is_broken()) return 719;
    return *stream = new Stream, 0;
}
API int cuStreamDestroy_v2(void* stream) { return delete (Stream*)stream, 0; }
API int cuStreamSynchronize(void*) { return has_failed() ? 719 : 0; }
API int cuStreamQuery(void* stream) { return is_foreign(stream) ? 201 : has_failed() ? 719 : 0; }
API int cuStreamWaitEvent(void*, void*, u32) { return 0; }
API int cuStreamBeginCapture_v2(void* stream, int) {
    if (!stream) return 900;  // the default stream cannot be captured
    ((Stream*)stream)->capturing = true;
    return 0;
}
API int cuStreamEndCapture(void* stream, void** graph) {
    Stream* from = (Stream*)stream;
    from->capturing = false;
    *graph = new Graph(std::move(from->captured));
    from->captured.clear();
    return 0;
}
API int cuStreamIsCapturing(void* stream, int* status) { return *status = stream && ((Stream*)stream)->capturing, 0; }
API int cuEventCreate(void** event, u32) { return *event = (void*)48, 0; }
API int cuEventDestroy_v2(void*) { return 0; }
API int cuEventRecord(void*, void*) { return 0; }
API int cuEventSynchronize(void*) { return 0; }
API int cuGraphInstantiateWithFlags(void** executable, void* graph, u64) { return *executable = new Graph(*(Graph*)graph), 0; }
API int cuGraphUpload(void*, void*) { return 0; }
API int cuGraphLaunch(void* executable, void* stream) {
    if (is_foreign(stream)) return 201;
    for (const Work& work : *(Graph*)executable)
        if (int error = work()) return error;
    return 0;
}
API int cuGraphExecDestroy(void* executable) { return delete (Graph*)executable, 0; }
API int cuGraphDestroy(void* graph) { return delete (Graph*)graph, 0; }
API int cuLaunchKernel(const Kernel* kernel, u32 gx, u32 gy, u32 gz, u32 bx, u32 by, u32 bz, u32 shared, void* stream, void** arguments,
                       void**) {
    // Arguments are read now, as a GPU's driver does.
    auto kept = std::make_shared<std::vector<std::vector<u8>>>();
    for (size_t i = 0; i < kernel->sizes.size(); i++) {
        const u8* from = (const u8*)arguments[i];
        kept->emplace_back(from, from + kernel->sizes[i]);
    }
    return enqueue(stream, [=] {
        std::vector<void*> pointers;
        for (auto& argument : *kept) pointers.push_back(argument.data());
        return launch(*kernel, {gx, gy, gz}, {bx, by, bz}, shared, std::move(pointers));
    });
}
