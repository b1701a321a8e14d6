// Runs one block of CUDA threads on one CPU thread.
#pragma once
#include <functional>
#include <random>
#include <string>

#include "device.h"

namespace fake {

// Runs `body` once per thread of a block of `threads`, which must be whole warps or less than one. Without a
// source of randomness threads take turns in order; with one, random warps run ahead of the others as far as
// the barriers let them, so that a missing barrier shows as a wrong result.
//
// Returns what went wrong, or nothing: threads that wait at different barriers, or for ever, or a memory
// access outside all allocations.
std::string run_block(const std::function<void()>& body, u32 threads, std::mt19937_64* random);

}  // namespace fake
