// Cost volume: 8 group correlations, 12 channels of the left and 12 of the shifted right image. Plain-ops twin:
// ffs_ros/graph/volume.py. The unit vectors are not rounded, and where w < d the left channels alone are not 0.
//
// A block makes 32 pixels of a row, all planes, all channels. Of the right row it holds those 32 columns and the 48 to
// their left. Two groups at a time lie in shared memory; 96 threads have 4 pixels x 4 planes of them each.

#include "halves.cuh"

namespace {

constexpr int kGroups = 8;
constexpr int kGroupChannels = 28;
constexpr int kFeatures = kGroups * kGroupChannels;
constexpr int kProjected = 12;
constexpr int kTile = 32;                               // pixels of a block
constexpr int kHeld = kTile + kPlanes + kTile;          // columns: 32 left, 48 + 32 right
constexpr int kRight = kTile + kPlanes;                 // where the right column of the tile's first pixel is
constexpr int kVolumeThreads = 128;
constexpr int kCorrelating = kTile / 4 * kPlanes / 4;   // threads
constexpr int kVolumeChannels = 2 * kProjected + kGroups;
constexpr float kUnitNormEps = 1e-12f;
constexpr int kSlots = kTile + kTile / 8;

}  // namespace

// Features [2B,224,H,W] and their projection [2B,12,H,W], left images before right ones, to the volume, channels last:
// [B,48,H,W,32]. Grid (ceil(columns / 32), rows, batch), 128 threads.
extern "C" __global__ void __launch_bounds__(kVolumeThreads, 5)
    cost_volume(const __half* __restrict__ features, const __half* __restrict__ projected,
                __half* __restrict__ volume, int batch, int rows, int columns) {
    __shared__ __align__(16) __half combined[kHeld][kProjected];
    __shared__ __align__(16) __half pair[2][kGroupChannels][kHeld];
    __shared__ float inverse_length[2][kHeld];
    __shared__ __align__(16) __half by_pixel[kPlanes][kSlots][kGroups];

    const int thread = threadIdx.x, row = blockIdx.y, image = blockIdx.z, first = blockIdx.x * kTile;
    const size_t area = size_t(rows) * columns;

    // The column that this thread reads.
    const int read_image = thread < kTile ? image : batch + image;
    const int column = first + (thread < kTile ? thread : thread - kRight);
    const bool inside = thread < kHeld && column >= 0 && column < columns;
    const size_t place = size_t(row) * columns + column;

    if (thread < kHeld) {
        for (int c = 0; c < kProjected; ++c) {
            __half value = __float2half(0.0f);
            if (inside) value = projected[(size_t(read_image) * kProjected + c) * area + place];
            combined[thread][c] = value;
        }
    }

#pragma unroll 1
    for (int group = 0; group < kGroups; group += 2) {
        __syncthreads();
        if (thread < kHeld) {
            const __half* from = features + (size_t(read_image) * kFeatures + group * kGroupChannels) * area + place;
#pragma unroll
            for (int g = 0; g < 2; ++g) {
                float squares = 0.0f;
#pragma unroll
                for (int c = 0; c < kGroupChannels; ++c) {
                    __half value = __float2half(0.0f);
                    if (inside) value = *from;
                    from += area;
                    pair[g][c][thread] = value;
                    squares += __half2float(value) * __half2float(value);
                }
                inverse_length[g][thread] = 1.0f / fmaxf(sqrtf(squares), kUnitNormEps);
            }
        }
        __syncthreads();

        // A quarter of what needs no correlation leaves now, so that writing goes on during the sums: of a place's 64
        // bytes the second 32, left 8 to 11 and all of right.
        constexpr int kPlain = kPlanes * kTile * 2 / 4;
        const int quarter = group / 2;
#pragma unroll 2
        for (int i = quarter * kPlain + thread; i < (quarter + 1) * kPlain; i += kVolumeThreads) {
            const int half = i % 2, pixel = i / 2 % kTile, plane = i / (2 * kTile);
            if (first + pixel < columns) {
                const Four* left = reinterpret_cast<const Four*>(combined[pixel]);
                const Four* right = reinterpret_cast<const Four*>(combined[kRight + pixel - plane]);
                const Eight value = half == 0 ? Eight{{left[2], right[0]}} : Eight{{right[1], right[2]}};
                const size_t at = (size_t(image) * kPlanes + plane) * area + size_t(row) * columns + first + pixel;
                reinterpret_cast<Eight*>(volume + at * kVolumeChannels)[2 + half] = value;
            }
        }

        if (thread < kCorrelating) {
            const int pixel = thread % (kTile / 4) * 4, plane = thread / (kTile / 4) * 4;
            // Pixel + a and plane + b want the right column behind + 4 + a - b.
            const int behind = kRight + pixel - plane - 4;
            float sum[2][4][4];
#pragma unroll
            for (int g = 0; g < 2; ++g) {
#pragma unroll
                for (int i = 0; i < 16; ++i) sum[g][i / 4][i % 4] = 0.0f;
#pragma unroll 2
                for (int c = 0; c < kGroupChannels; ++c) {
                    const Values left = numbers(*reinterpret_cast<const Four*>(&pair[g][c][pixel]));
                    const Values before = numbers(*reinterpret_cast<const Four*>(&pair[g][c][behind]));
                    const Values after = numbers(*reinterpret_cast<const Four*>(&pair[g][c][behind + 4]));
#pragma unroll
                    for (int a = 0; a < 4; ++a) {
#pragma unroll
                        for (int b = 0; b < 4; ++b) {
                            const float right = a < b ? before.at[4 + a - b] : after.at[a - b];
                            sum[g][a][b] = fmaf(left.at[a], right, sum[g][a][b]);
                        }
                    }
                }
#pragma unroll
                for (int a = 0; a < 4; ++a) {
#pragma unroll
                    for (int b = 0; b < 4; ++b) {
                        sum[g][a][b] *= inverse_length[g][pixel + a] * inverse_length[g][behind + 4 + a - b];
                    }
                }
            }
#pragma unroll
            for (int b = 0; b < 4; ++b) {
#pragma unroll
                for (int a = 0; a < 4; ++a) {
                    *reinterpret_cast<__half2*>(&by_pixel[plane + b][slot(pixel + a)][group]) =
                        __floats2half2_rn(sum[0][a][b], sum[1][a][b]);
                }
            }
        }
    }

    // The first 32 bytes: the correlations and left 0 to 7.
    __syncthreads();
#pragma unroll 2
    for (int i = thread; i < kPlanes * kTile * 2; i += kVolumeThreads) {
        const int half = i % 2, pixel = i / 2 % kTile, plane = i / (2 * kTile);
        if (first + pixel < columns) {
            const Four* left = reinterpret_cast<const Four*>(combined[pixel]);
            const Eight value = half == 0 ? *reinterpret_cast<const Eight*>(by_pixel[plane][slot(pixel)])
                                          : Eight{{left[0], left[1]}};
            const size_t at = (size_t(image) * kPlanes + plane) * area + size_t(row) * columns + first + pixel;
            reinterpret_cast<Eight*>(volume + at * kVolumeChannels)[half] = value;
        }
    }
}
