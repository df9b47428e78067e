// The GRU's tensors: all at 1/4 of the images and with the channels last, filled up to a multiple of 8, in vectors of four.
// What fills up is not read, and written as 0.

#pragma once

namespace {
namespace gru {

constexpr int kThreads = 256;
constexpr int kHidden = 60 / 4;     // vectors of a place
constexpr int kHiddenStored = 64 / 4;
constexpr int kDrive = 100 / 4;     // what the first layer makes of what was seen
constexpr int kDriveStored = 104 / 4;
constexpr int kJoined = kDrive + kHidden;
constexpr int kGates = 2 * kHidden;  // update, then reset

struct At {
    int place, vector;
};

// The vector of this thread, of ``vectors`` at each place.
__device__ __forceinline__ At mine(int vectors) {
    const int at = blockIdx.x * kThreads + threadIdx.x;
    return {at / vectors, at % vectors};
}

}  // namespace gru
}  // namespace
