// The end of the disparity head, and the sum with the disparity. Plain-ops twin: ``correction`` of
// ffs_ros/graph/recurrent.py, whose result is not rounded to halves here.
//
// A block makes 8 x 8 pixels. Tensor cores multiply each pixel of those and around them with each of the nine taps; a
// pixel's correction is then the sum of nine of these products.

#include "halves.cuh"
#include "tensor_cores.cuh"

namespace {

constexpr int kStepSide = 8;
constexpr int kStepTile = kStepSide + 2;
constexpr int kStepTaps = 9;
constexpr int kStepVectors = 5, kStepStored = 8 * kStepVectors;
constexpr int kStepThreads = 128;
constexpr int kStepPixels = kStepThreads;               // 100 of them; two products of 16 for each of four warps
constexpr int kStepPitch = kStepPixels + 4;             // puts 8 pixels x 4 taps in 32 banks

}  // namespace

// Picture [B,H,W,40], 36 channels of it, and disparity [B,H,W] to the next disparity. ``weight``: [10][32] pairs of
// halves, of a lane what it gives to mma as B: two times 8 of the taps x 40 channels. Grid (ceil(columns / 8), ceil(rows /
// 8), batch), 128 threads.
extern "C" __global__ void __launch_bounds__(kStepThreads)
    disparity_step(const Eight* __restrict__ picture, const float* __restrict__ disparity,
                   const unsigned* __restrict__ weight, const float* __restrict__ bias, float* __restrict__ next,
                   int rows, int columns) {
    __shared__ __align__(16) __half pixels[kStepPixels][kStepStored];  // the pitch puts 8 rows x 4 words in 32 banks
    __shared__ float products[kStepTaps][kStepPitch];

    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const int top = blockIdx.y * kStepSide, left = blockIdx.x * kStepSide;
    const size_t image = size_t(blockIdx.z) * rows * columns;

    Eight held[kStepVectors];
#pragma unroll
    for (int k = 0; k < kStepVectors; ++k) {
        const int i = k * kStepThreads + thread, vector = i % kStepVectors, place = i / kStepVectors;
        const int row = top + place / kStepTile - 1, column = left + place % kStepTile - 1;
        const bool inside = unsigned(row) < unsigned(rows) && unsigned(column) < unsigned(columns);
        held[k] = {};
        if (inside && place < kStepTile * kStepTile) {
            held[k] = picture[(image + row * columns + column) * kStepVectors + vector];
        }
    }
    const int y = top + thread / kStepSide, x = left + thread % kStepSide;
    const bool mine = thread < kStepSide * kStepSide && y < rows && x < columns;
    const float before = mine ? disparity[image + size_t(y) * columns + x] : 0.0f;
    unsigned b[2 * kStepVectors];
#pragma unroll
    for (int i = 0; i < 2 * kStepVectors; ++i) b[i] = weight[32 * i + lane];
#pragma unroll
    for (int k = 0; k < kStepVectors; ++k) {
        const int i = k * kStepThreads + thread, vector = i % kStepVectors;
        if (vector == kStepVectors - 1) held[k].four[1] = {};  // whatever fills the channels up
        *reinterpret_cast<Eight*>(&pixels[i / kStepVectors][8 * vector]) = held[k];
    }
    __syncthreads();

    const int first = lane / 4, pair = lane % 4 * 2;
#pragma unroll
    for (int m = 0; m < 2; ++m) {
        const int pixel = 32 * warp + 16 * m + first;
        const unsigned* from = reinterpret_cast<const unsigned*>(&pixels[pixel][pair]);
        const unsigned* below = reinterpret_cast<const unsigned*>(&pixels[pixel + 8][pair]);
        const unsigned a[2][4] = {{from[0], below[0], from[4], below[4]}, {from[8], below[8], from[12], below[12]}};
        const unsigned rest[2] = {from[16], below[16]};
        float sum[2][4] = {};
#pragma unroll
        for (int n = 0; n < 2; ++n) {
            multiply_add(sum[n], a[0], {{b[5 * n], b[5 * n + 1]}});
            multiply_add(sum[n], a[1], {{b[5 * n + 2], b[5 * n + 3]}});
            multiply_add(sum[n], rest, b[5 * n + 4]);
        }
#pragma unroll
        for (int i = 0; i < 4; ++i) products[pair + i % 2][pixel + i / 2 * 8] = sum[0][i];
        if (pair == 0) {
            products[kStepTaps - 1][pixel] = sum[1][0];
            products[kStepTaps - 1][pixel + 8] = sum[1][2];
        }
    }
    __syncthreads();

    if (mine) {
        const int place = thread / kStepSide * kStepTile + thread % kStepSide;
        float correction = *bias;
#pragma unroll
        for (int tap = 0; tap < kStepTaps; ++tap) correction += products[tap][place + tap / 3 * kStepTile + tap % 3];
        next[image + size_t(y) * columns + x] = before + correction;
    }
}
