// First disparity: a 3x3x3 convolution to one channel, softmax over the planes, mean plane. Plain-ops twin:
// ``first_disparity`` of ffs_ros/graph/filtering.py. Between convolution and softmax nothing is rounded.
//
// A block marches along the planes with a tile of 6 x 14 pixels and those around it, of which each warp has a row of 16
// voxels. On tensor cores it multiplies their 32 channels with the weight of each tap, and adds up what the three planes
// of a window give. The nine sums that a voxel has then belong to the pixels around it: they go through shared memory.
// Three planes at a time, so that each of three threads of a pixel has every third.

#include "halves.cuh"
#include "tensor_cores.cuh"

namespace {

constexpr int kTileRows = 6, kTileColumns = 14;          // pixels of a block
constexpr int kTilePixels = kTileRows * kTileColumns;
constexpr int kAround = kTileColumns + 2;                // voxels of a warp
constexpr int kMarching = 32 * (kTileRows + 2);          // threads
constexpr int kVoxelPitch = kAround * (kTileRows + 2) + 4;  // four taps x eight voxels are in 32 banks
constexpr int kVoxelLanes = kStored / 8;                      // lanes of a voxel
constexpr int kWindow = 3;
constexpr int kWindowTaps = kWindow * kWindow;                 // of a plane
constexpr int kVoxelSums = kWindowTaps + 1;                         // of a voxel: the last tap's is in two
constexpr int kPlanesAtOnce = 3;                               // planes between two barriers

// Of some planes: the largest logit, and the sums of exp(logit - largest) and of that times plane.
struct Weighted {
    float largest, sum, planes;
};

// NaN stays, and what is infinite becomes it.
__device__ __forceinline__ Weighted with_logit(const Weighted& others, float logit, float plane) {
    const float away = expf(-fabsf(logit - others.largest)) + (logit - logit);
    const bool larger = logit > others.largest;
    const float old = larger ? away : 1.0f, young = larger ? 1.0f : away;
    return {larger ? logit : others.largest, fmaf(others.sum, old, young), fmaf(others.planes, old, young * plane)};
}

}  // namespace

// Disparity [B,1,H,W], fp32, from the geometry volume [B,48,H,W,32] of whose channels 28 are read. ``weight``: halves
// [32][32], the last axis channels. Row 8 z + t is tap t of plane z of the window, but the last taps are rows 24 + z.
// The convolution's bias, which is the same for all planes, leaves the softmax as it is. Where a logit is not finite the
// pixel is NaN. Grid (ceil(columns / 14), ceil(rows / 6), batch), 256 threads.
extern "C" __global__ void __launch_bounds__(kMarching, 3)
    first_disparity(const Eight* __restrict__ volume, const Eight* __restrict__ weight, float* __restrict__ disparity,
                    int rows, int columns) {
    __shared__ float sums[2][kPlanesAtOnce][kVoxelSums][kVoxelPitch];
    __shared__ Weighted merged[kPlanesAtOnce][kTilePixels];

    const int thread = threadIdx.x, warp = thread / 32, group = thread % 32 / kVoxelLanes, part = thread % kVoxelLanes;
    const int image = blockIdx.z, first_row = blockIdx.y * kTileRows, first_column = blockIdx.x * kTileColumns;

    // A lane has 8 channels of two voxels, 8 columns apart. Those are what it gives to two products of 16 channels: their
    // order is free as long as the weight has the same.
    const int row = first_row + warp - 1, column = first_column + group - 1, voxel = warp * kAround + group;
    const bool line = row >= 0 && row < rows;
    const bool inside[2] = {line && column >= 0 && column < columns, line && column + 8 < columns};
    const ptrdiff_t step = ptrdiff_t(rows) * columns * kVoxelLanes;
    const Eight* from = volume + image * kPlanes * step + (ptrdiff_t(row) * columns + column) * kVoxelLanes + part;
    const unsigned counts = part == kVoxelLanes - 1 ? 0 : ~0u;  // of the last eight channels four do not

    Eight taps[kWindow + 1];
#pragma unroll
    for (int n = 0; n <= kWindow; ++n) taps[n] = weight[(8 * n + group) * kVoxelLanes + part];

    Eight ahead[kPlanesAtOnce][2];  // planes p, p + 1 and p + 2
    const auto load = [&](int at, int plane) {
#pragma unroll
        for (int v = 0; v < 2; ++v) {
            ahead[at][v] = Eight{};
            if (inside[v] && plane < kPlanes) ahead[at][v] = from[v * 8 * kVoxelLanes];
        }
        from += step;
    };

    float sum[kWindow][4] = {};  // of planes p - 1, p and p + 1
    float last[4], last_sum[2] = {}, last_above[2] = {};
    // ``at`` is plane % 3, known to the compiler.
    const auto add = [&](int at, int plane) {
        const Eight voxels[2] = {ahead[at][0], ahead[at][1]};
        load(at, plane + kPlanesAtOnce);
#pragma unroll
        for (int i = 0; i < 4; ++i) last[i] = sum[(at + 1) % kWindow][i] = 0.0f;
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const unsigned seen = half == 0 ? ~0u : counts;  // not where they are read: that would wait for them
            const unsigned a[4] = {voxels[0].four[half].two[0] & seen, voxels[1].four[half].two[0] & seen,
                                   voxels[0].four[half].two[1] & seen, voxels[1].four[half].two[1] & seen};
#pragma unroll
            for (int z = 0; z < kWindow; ++z) multiply_add(sum[(at + 1 + kWindow - z) % kWindow], a, taps[z].four[half]);
            multiply_add(last, a, taps[kWindow].four[half]);
        }
    };
    // Lane 0 of a voxel has what its last tap gives to the planes behind and at it, lane 1 to the one before.
    const auto keep_last = [&]() {
#pragma unroll
        for (int v = 0; v < 2; ++v) {
            last_sum[v] = last_above[v] + last[2 * v + 1];
            last_above[v] = last[2 * v];
        }
    };

#pragma unroll
    for (int plane = 0; plane < kPlanesAtOnce; ++plane) load(plane, plane);
    add(0, 0);
    keep_last();

    const int mine = thread / kTilePixels, pixel = thread % kTilePixels;
    const int corner = pixel / kTileColumns * kAround + pixel % kTileColumns;
    Weighted weighted = {-3e38f, 0.0f, 0.0f};
#pragma unroll 1
    for (int plane = 0; plane < kPlanes; plane += kPlanesAtOnce) {
        float(*to)[kVoxelSums][kVoxelPitch] = sums[plane / kPlanesAtOnce % 2];
#pragma unroll
        for (int k = 0; k < kPlanesAtOnce; ++k) {
            add((k + 1) % kWindow, plane + k + 1);
#pragma unroll
            for (int i = 0; i < 4; ++i) to[k][2 * part + i % 2][voxel + i / 2 * 8] = sum[k][i];
#pragma unroll
            for (int v = 0; v < 2; ++v) {
                if (part < 2) to[k][kWindowTaps - 1 + part][voxel + 8 * v] = part == 0 ? last_sum[v] : last[2 * v];
            }
            keep_last();
        }
        __syncthreads();
        if (mine < kPlanesAtOnce) {
            float logit = to[mine][kWindowTaps][corner + 2 * kAround + 2];
#pragma unroll
            for (int t = 0; t < kWindowTaps; ++t) logit += to[mine][t][corner + t / kWindow * kAround + t % kWindow];
            weighted = with_logit(weighted, logit, float(plane + mine));
        }
    }

    if (mine < kPlanesAtOnce) merged[mine][pixel] = weighted;
    __syncthreads();
    const int y = first_row + pixel / kTileColumns, x = first_column + pixel % kTileColumns;
    if (mine == 0 && y < rows && x < columns) {
        float largest = weighted.largest, total = 0.0f, planes = 0.0f;
        for (int k = 1; k < kPlanesAtOnce; ++k) largest = fmaxf(largest, merged[k][pixel].largest);
        for (int k = 0; k < kPlanesAtOnce; ++k) {
            const Weighted one = merged[k][pixel];
            const float share = expf(one.largest - largest);
            total = fmaf(one.sum, share, total);
            planes = fmaf(one.planes, share, planes);
        }
        disparity[(size_t(image) * rows + y) * columns + x] = planes / total;
    }
}
