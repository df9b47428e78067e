// The first layer on the disparity, with its ReLU. Plain-ops twin: ``disparity_features`` of ffs_ros/graph/recurrent.py.
//
// A block makes 8 x 16 pixels. Tensor cores multiply what is around each with the taps, of which a row takes eight: pixels
// of even columns begin at the fourth column before them, those of odd ones at the third, so that both read whole words.
// The entry too many is taken out of what is read, as it may be NaN.

#include "halves.cuh"
#include "tensor_cores.cuh"

namespace {

constexpr int kSeenRows = 8, kSeenColumns = 16;         // of a block
constexpr int kSeenThreads = 128;                       // of each warp: every other column of four rows
constexpr int kSeenTaps = 7, kSeenAround = kSeenTaps / 2;
constexpr int kSeenTileRows = kSeenRows + 2 * kSeenAround, kSeenTileColumns = kSeenColumns + 8;
constexpr int kSeenLoads = (kSeenTileRows * kSeenTileColumns + kSeenThreads - 1) / kSeenThreads;  // of a thread
constexpr int kSeenMade = 18, kSeenTiles = 3, kSeenStored = 8 * kSeenTiles;

}  // namespace

// Disparity [B,H,W], rounded to halves, to features [B,H,W,24]: 18, then zeros. ``weight``: [2][7][3][32] pairs of halves,
// for even and odd columns, a row of taps, 8 outputs and a lane what it gives to mma as B. ``bias`` has 24. Grid
// (ceil(columns / 16), ceil(rows / 8), batch), 128 threads.
extern "C" __global__ void __launch_bounds__(kSeenThreads)
    disparity_features(const float* __restrict__ disparity, const unsigned* __restrict__ weight,
                       const float2* __restrict__ bias, Eight* __restrict__ features, int rows, int columns) {
    __shared__ __align__(16) __half tile[kSeenTileRows][kSeenTileColumns];
    __shared__ __align__(16) __half made[kSeenRows][kSeenColumns][kSeenStored];

    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const int top = blockIdx.y * kSeenRows, left = blockIdx.x * kSeenColumns;
    const int odd = warp % 2, first = warp / 2 * 4;     // row
    const int column = lane / 4, pair = lane % 4;       // every other column; of a row of taps, or of 8 outputs
    const size_t image = size_t(blockIdx.z) * rows * columns;

    // All loads are under way together.
    float loaded[kSeenLoads];
#pragma unroll
    for (int k = 0; k < kSeenLoads; ++k) {
        const int i = k * kSeenThreads + thread;
        const int y = top - kSeenAround + i / kSeenTileColumns, x = left - kSeenAround - 1 + i % kSeenTileColumns;
        const bool there = y >= 0 && y < rows && x >= 0 && x < columns;
        loaded[k] = there ? disparity[image + size_t(y) * columns + x] : 0.0f;
    }
    unsigned b[kSeenTaps][kSeenTiles];
#pragma unroll
    for (int row = 0; row < kSeenTaps; ++row) {
#pragma unroll
        for (int n = 0; n < kSeenTiles; ++n) b[row][n] = weight[((odd * kSeenTaps + row) * kSeenTiles + n) * 32 + lane];
    }
    float2 bias_of[kSeenTiles];
#pragma unroll
    for (int n = 0; n < kSeenTiles; ++n) bias_of[n] = bias[4 * n + pair];
#pragma unroll
    for (int k = 0; k < kSeenLoads; ++k) {
        const int i = k * kSeenThreads + thread;
        if (i < kSeenTileRows * kSeenTileColumns) (&tile[0][0])[i] = __float2half(loaded[k]);
    }
    __syncthreads();

    const unsigned taken = odd ? (pair == 3 ? 0x0000ffffu : 0xffffffffu) : (pair == 0 ? 0xffff0000u : 0xffffffffu);
    unsigned word[kSeenTaps + 3];                       // of what is around four pixels one below the other
#pragma unroll
    for (int row = 0; row < kSeenTaps + 3; ++row) {
        word[row] = *reinterpret_cast<const unsigned*>(&tile[first + row][2 * (column + odd + pair)]) & taken;
    }
#pragma unroll
    for (int y = 0; y < 4; y += 2) {
#pragma unroll
        for (int n = 0; n < kSeenTiles; ++n) {
            float sum[4] = {bias_of[n].x, bias_of[n].y, bias_of[n].x, bias_of[n].y};
#pragma unroll
            for (int row = 0; row < kSeenTaps - 1; row += 2) {
                const unsigned a[4] = {word[y + row], word[y + row + 1], word[y + row + 1], word[y + row + 2]};
                multiply_add(sum, a, {{b[row][n], b[row + 1][n]}});
            }
            const unsigned a[2] = {word[y + kSeenTaps - 1], word[y + kSeenTaps]};
            multiply_add(sum, a, b[kSeenTaps - 1][n]);
            const int output = 8 * n + 2 * pair;
#pragma unroll
            for (float& x : sum) x = x < 0.0f || output >= kSeenMade ? 0.0f : x;  // NaN stays
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                *reinterpret_cast<__half2*>(&made[first + y + i][2 * column + odd][output]) =
                    __floats2half2_rn(sum[2 * i], sum[2 * i + 1]);
            }
        }
    }
    __syncthreads();

#pragma unroll
    for (int k = 0; k < kSeenTiles; ++k) {
        const int i = k * kSeenThreads + thread, vector = i % kSeenTiles, place = i / kSeenTiles;
        const int y = place / kSeenColumns, x = place % kSeenColumns;
        if (top + y < rows && left + x < columns) {
            features[(image + size_t(top + y) * columns + left + x) * kSeenTiles + vector] =
                *reinterpret_cast<const Eight*>(&made[y][x][8 * vector]);
        }
    }
}
