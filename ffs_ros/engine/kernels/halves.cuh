// Halves, moved four and eight at a time, as the kernels beside this file share them.
//
// Halves are stored; sums, norms, positions and fractions are fp32. Any batch, rows and columns; all at 1/4 of the
// images. "Channels last" has the channels of one place side by side: a volume [B,C,D,H,W] is then [B,D,H,W,C].

#pragma once
#include <cuda_fp16.h>

namespace {

constexpr int kPlanes = 48;
constexpr int kStored = 32;  // channels of a place of a volume: 28 of geometry and four of nothing

// Four and eight halves, moved at once. Words, as compilers give each half that they see a register of its own.
struct __align__(8) Four {
    unsigned two[2];
};
struct __align__(16) Eight {
    Four four[2];
};
struct Values {
    float at[4];
};

__device__ __forceinline__ Values numbers(Four x) {
    const float2 low = __half22float2(*reinterpret_cast<__half2*>(&x.two[0]));
    const float2 high = __half22float2(*reinterpret_cast<__half2*>(&x.two[1]));
    return {{low.x, low.y, high.x, high.y}};
}

__device__ __forceinline__ Four halves(Values x) {
    const __half2 low = __floats2half2_rn(x.at[0], x.at[1]), high = __floats2half2_rn(x.at[2], x.at[3]);
    return {{*reinterpret_cast<const unsigned*>(&low), *reinterpret_cast<const unsigned*>(&high)}};
}

// Where a pixel is in shared memory: after eight a gap, so that neither threads 4 pixels apart nor adjacent ones meet in a
// bank.
__device__ __forceinline__ int slot(int pixel) { return pixel + pixel / 8; }

}  // namespace
