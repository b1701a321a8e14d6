// The part of NCCL that the trainer uses, with threads of one process as ranks.
//
// Communicators do not block: what is given in a group is posted at its end, and moves when a communicator is asked how
// it is, as soon as both ends were posted. Nothing here waits, so a rank that does not come is in progress for ever, as
// with a real one. Numbers are only moved; nothing is added up here.
#include <atomic>
#include <cstdio>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "driver.h"

extern "C" int cuMemAlloc_v2(u64* address, size_t size);
extern "C" int cuMemFree_v2(u64 address);

namespace {

enum { SUCCESS = 0, CUDA_FAILED = 1, INVALID_ARGUMENT = 4, INVALID_USAGE = 5, IN_PROGRESS = 7 };

struct Parcel {
    const void* from;
    size_t bytes;
    bool taken;
};

// All ranks of one id, and what was sent and not yet received, by sender and receiver.
struct World {
    size_t ranks, present = 0;
    std::mutex lock;
    std::map<std::pair<int, int>, std::deque<std::shared_ptr<Parcel>>> mail;
};

struct Given {
    bool goes;
    int peer;
    void* at;
    size_t bytes;
    std::shared_ptr<Parcel> parcel;  // of what goes
};

struct Comm {
    std::shared_ptr<World> world;
    int rank, card;
    std::vector<Given> given{};
    std::map<int, u64> connections{};  // by peer, and where the memory for it is
};

// What a test wants to go wrong with a card after so many more sends; −1: nothing.
struct Fault {
    std::atomic<long long> left{-1};
    std::atomic<int> status{0};  // what is said then; 0: nothing, but what is sent does not arrive
};
Fault faults[fake::CARDS];

struct Id {
    char internal[128];
};
// How the configuration that NCCL reads begins.
struct Config {
    size_t size;
    unsigned magic, version;
    int blocking;
};

std::mutex worlds_lock;
std::map<unsigned, std::weak_ptr<World>> worlds;
unsigned last_world;

thread_local int depth;
thread_local std::vector<std::pair<Comm*, Given>> group;

// What a rank of the calling thread takes of its card's memory for another, when the two first exchange something.
thread_local u64 connection;

// Takes it, unless it has it.
bool connect(Comm* comm, int peer) {
    auto [place, is_new] = comm->connections.insert({peer, 0});
    return !is_new || !connection || cuMemAlloc_v2(&place->second, connection) == 0;
}

bool is_faulty(const Comm* comm) { return faults[comm->card].left == 0; }

// Whether it is done; or what is wrong.
int progress(Comm* comm, Given& one) {
    World& world = *comm->world;
    if (one.goes) return one.parcel->taken ? SUCCESS : IN_PROGRESS;
    auto& queue = world.mail[{one.peer, comm->rank}];
    if (queue.empty()) return IN_PROGRESS;
    Parcel& parcel = *queue.front();
    if (parcel.bytes != one.bytes) return INVALID_USAGE;
    memcpy(one.at, parcel.from, one.bytes);
    parcel.taken = true;
    queue.pop_front();
    return SUCCESS;
}

int put(bool goes, const void* at, size_t bytes, int type, int peer, Comm* comm, void* stream) {
    bool is_peer = peer >= 0 && (size_t)peer < comm->world->ranks && peer != comm->rank;
    if (depth == 0 || !is_peer || type != 1 || fake::card_of(stream) != comm->card) return INVALID_USAGE;
    group.push_back({comm, {goes, peer, (void*)at, bytes, nullptr}});
    return SUCCESS;
}

}  // namespace

#define API extern "C" __attribute__((visibility("default")))

// ---- What tests ask for.
API void fake_nccl_fault(int card, long long after, int status) {
    faults[card].status = status;
    faults[card].left = after;
}
API void fake_nccl_connection(u64 bytes) { connection = bytes; }

// ---- NCCL's API.
API const char* ncclGetErrorString(int status) {
    return status == 6 ? "remote process exited or there was a network error" : "simulated";
}
API int ncclGetVersion(int* version) { return *version = 23007, SUCCESS; }
API int ncclGetUniqueId(Id* id) {
    std::lock_guard guard(worlds_lock);
    memset(id, 0, sizeof *id);
    last_world++;
    memcpy(id->internal, &last_world, sizeof last_world);
    return SUCCESS;
}
API int ncclCommInitRankConfig(Comm** comm, int ranks, Id id, int rank, const Config* config) {
    bool is_read = config->magic == 0xcafebeef && config->size >= sizeof(Config) && config->version >= 21400;
    if (!is_read || config->blocking != 0 || depth == 0 || rank < 0 || rank >= ranks) return INVALID_ARGUMENT;
    unsigned number;
    memcpy(&number, id.internal, sizeof number);
    std::lock_guard guard(worlds_lock);
    std::shared_ptr<World> world = worlds[number].lock();
    if (!world) {
        world = std::make_shared<World>();
        world->ranks = ranks;
        worlds[number] = world;
    }
    std::lock_guard inner(world->lock);
    world->present++;
    *comm = new Comm{world, rank, fake::current_card()};
    return IN_PROGRESS;
}
API int ncclCommGetAsyncError(Comm* comm, int* state) {
    std::lock_guard guard(comm->world->lock);
    if (is_faulty(comm) && faults[comm->card].status) return *state = faults[comm->card].status, SUCCESS;
    *state = comm->world->present < comm->world->ranks ? IN_PROGRESS : SUCCESS;
    std::vector<Given> left;
    for (Given& one : comm->given) {
        int done = progress(comm, one);
        if (done == IN_PROGRESS) left.push_back(one);
        if (done != SUCCESS && *state != INVALID_USAGE) *state = done;
    }
    comm->given = std::move(left);
    return SUCCESS;
}
API int ncclCommAbort(Comm* comm) {
    {
        std::lock_guard guard(comm->world->lock);
        // What it sent is not read any more: its memory may be freed.
        for (auto& [way, queue] : comm->world->mail)
            if (way.first == comm->rank) queue.clear();
    }
    for (auto& [peer, memory] : comm->connections)
        if (memory) cuMemFree_v2(memory);
    delete comm;
    return SUCCESS;
}
API int ncclGroupStart() { return depth++, SUCCESS; }
API int ncclGroupEnd() {
    if (depth == 0) return INVALID_USAGE;
    if (--depth) return SUCCESS;
    int status = IN_PROGRESS;
    for (auto& [comm, one] : group) {
        if (!connect(comm, one.peer)) status = CUDA_FAILED;
        std::lock_guard guard(comm->world->lock);
        if (one.goes) {
            one.parcel = std::make_shared<Parcel>(Parcel{one.at, one.bytes, false});
            if (!is_faulty(comm)) comm->world->mail[{comm->rank, one.peer}].push_back(one.parcel);
            if (faults[comm->card].left > 0) faults[comm->card].left--;
        }
        comm->given.push_back(one);
    }
    group.clear();
    return status;
}
API int ncclSend(const void* from, size_t bytes, int type, int peer, Comm* comm, void* stream) {
    return put(true, from, bytes, type, peer, comm, stream);
}
API int ncclRecv(void* to, size_t bytes, int type, int peer, Comm* comm, void* stream) {
    return put(false, to, bytes, type, peer, comm, stream);
}
