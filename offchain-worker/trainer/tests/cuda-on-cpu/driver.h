// What the parts of the fake driver share.
#pragma once
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "device.h"

namespace fake {

// The most cards that there can be. The last is of another model than the others.
constexpr int CARDS = 64;

// The card whose context is the calling thread's, and that of a stream.
__attribute__((visibility("default"))) int current_card();
__attribute__((visibility("default"))) int card_of(void* stream);

// Something that a stream does; gives a CUDA error.
using Work = std::function<int()>;

// Does it now, or keeps it for the graph that the stream is being captured into.
__attribute__((visibility("default"))) int enqueue(void* stream, Work work);

// A kernel, callable with pointers to its arguments.
struct Kernel {
    const char* name;
    u32 threads;                // the most in a block
    std::vector<size_t> sizes;  // of its arguments
    std::function<void(void**)> call;
};

template <class... A, size_t... I> void call_with(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
    kernel(*(A*)arguments[I]...);
}

template <class... A> Kernel make_kernel(const char* name, u32 threads, void (*kernel)(A...)) {
    return {name, threads, {sizeof(A)...}, [kernel](void** arguments) { call_with(kernel, arguments, std::index_sequence_for<A...>{}); }};
}

// All kernels; the harness writes this function from the list that the host has.
const std::vector<Kernel>& kernels();

}  // namespace fake
