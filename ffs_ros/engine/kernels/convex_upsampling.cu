// From 1/4 to full resolution: the mean of the nine disparities around a pixel, weighted by the softmax of its logits.
// Plain-ops twin: ``weighted_mean`` of ffs_ros/graph/upsampling.py. All in fp32.

#include "halves.cuh"

namespace {

constexpr int kScale = 4;
constexpr int kNeighbours = 9;
constexpr int kUpsampled = 128;  // pixels of a block

}  // namespace

// Disparity [B,1,4H,4W] in pixels from nine logits [B,4H,4W,16], whose other channels are not read, and the disparity
// [B,1,H,W] in pixels at 1/4, which counts as 0 outside. Grid (ceil(4 columns / 128), 4 rows, batch), 128 threads.
extern "C" __global__ void __launch_bounds__(kUpsampled)
    convex_upsampling(const Eight* __restrict__ logits, const float* __restrict__ disparity, float* __restrict__ finer,
                      int rows, int columns) {
    const int x = blockIdx.x * kUpsampled + threadIdx.x, y = blockIdx.y, image = blockIdx.z;
    if (x >= kScale * columns) return;
    const size_t pixel = (size_t(image) * kScale * rows + y) * kScale * columns + x;

    const Eight eight = logits[2 * pixel];
    const Values low = numbers(eight.four[0]), high = numbers(eight.four[1]);
    const Values rest = numbers(logits[2 * pixel + 1].four[0]);
    float weight[kNeighbours];
#pragma unroll
    for (int i = 0; i < 4; ++i) weight[i] = low.at[i], weight[4 + i] = high.at[i];
    weight[8] = rest.at[0];

    float largest = weight[0];
#pragma unroll
    for (int i = 1; i < kNeighbours; ++i) largest = fmaxf(largest, weight[i]);  // NaN stays: one of those below is

    float total = 0.0f, sum = 0.0f;
#pragma unroll
    for (int i = 0; i < kNeighbours; ++i) {
        const int row = y / kScale + i / 3 - 1, column = x / kScale + i % 3 - 1;
        const bool inside = row >= 0 && row < rows && column >= 0 && column < columns;
        const float near = inside ? disparity[(ptrdiff_t(image) * rows + row) * columns + column] : 0.0f;
        const float share = expf(weight[i] - largest);
        total += share;
        sum = fmaf(share, float(kScale) * near, sum);
    }
    finer[pixel] = sum / total;
}
