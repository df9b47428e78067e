// Stands in for CUDA when the kernels are compiled as C++: a block's threads are fibers that run from one __syncthreads
// to the next, in an order that can be reversed, so that a missing one shows as a difference.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static
#define __align__(n) __attribute__((aligned(n)))
#define __restrict__

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
extern dim3 threadIdx, blockIdx, blockDim, gridDim;
void __syncthreads();

struct __half {
    _Float16 value;
};
struct alignas(4) __half2 {
    __half x, y;
};
struct float2 {
    float x, y;
};
inline float __half2float(__half x) { return static_cast<float>(x.value); }
inline __half __float2half(float x) { return {static_cast<_Float16>(x)}; }
inline float2 __half22float2(__half2 x) { return {__half2float(x.x), __half2float(x.y)}; }
inline __half2 __floats2half2_rn(float x, float y) { return {__float2half(x), __float2half(y)}; }
inline __half __ushort_as_half(unsigned short x) {
    __half y;
    memcpy(&y, &x, 2);
    return y;
}

