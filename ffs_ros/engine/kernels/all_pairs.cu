// Correlation of all pairs of a row: how much each left pixel's features are like each right pixel's. Plain-ops twin:
// ``all_pairs`` of ffs_ros/graph/volume.py. The products are of the features as they are, on tensor cores; the lengths
// that make unit vectors of them divide the sums, so nothing is rounded on the way.
//
// A block has 96 left and 96 right columns of a row, whose channels come 32 at a time, those to come while these are
// multiplied. Six warps have 32 x 48 of the pairs each.

#include "halves.cuh"
#include "tensor_cores.cuh"
#include "matrices.cuh"

namespace {

constexpr int kPairedChannels = 224;
constexpr int kPairedColumns = 96;                      // of each image
constexpr int kPairing = 192;                           // threads
constexpr int kChannelChunk = 32;
constexpr int kPairVectors = 2 * kPairedColumns / 8;    // of eight columns
constexpr int kPairPitch = kPairVectors + 1;            // vectors of eight channels meet in no bank
constexpr int kLeftTiles = 2, kRightTiles = 6;          // of a warp: 16 and 8 columns
constexpr float kPairNormEps = 1e-12f;

static_assert(kPairing == 2 * kPairedColumns, "threads have two columns and half of the channels when they square");

}  // namespace

// Features [2B,224,H,W], left images before right ones, to [B,H,W,W], the left column before the right one. A vector of
// length 0 is like none. Grid (ceil(columns / 96) ** 2, rows, batch), 192 threads.
extern "C" __global__ void __launch_bounds__(kPairing, 4)
    all_pairs(const __half* __restrict__ features, __half* __restrict__ pairs, int batch, int rows, int columns) {
    __shared__ __align__(16) Eight held[2][kChannelChunk][kPairPitch];
    __shared__ float squares[2][2 * kPairedColumns];
    __shared__ float inverse_length[2 * kPairedColumns];

    const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32, row = blockIdx.y, image = blockIdx.z;
    const int tiles = (columns + kPairedColumns - 1) / kPairedColumns;
    const int first_left = blockIdx.x / tiles * kPairedColumns, first_right = blockIdx.x % tiles * kPairedColumns;
    const size_t area = size_t(rows) * columns;

    // Of every eighth channel a thread brings eight columns.
    const int vector = thread % kPairVectors, of_right = vector / (kPairVectors / 2);
    const int column = of_right ? first_right + vector * 8 - kPairedColumns : first_left + vector * 8;
    const __half* from = features + size_t(image + of_right * batch) * kPairedChannels * area + size_t(row) * columns +
                         thread / kPairVectors * area + (column < columns ? column : 0);
    const auto bring = [&](int chunk) {
#pragma unroll 1
        for (int k = thread / kPairVectors; k < kChannelChunk; k += kPairing / kPairVectors) {
            Eight* to = &held[chunk % 2][k][vector];
            if (columns % 8 == 0) {
                copy(to, reinterpret_cast<const Eight*>(from), column < columns);
            } else {
#pragma unroll 1
                for (int i = 0; i < 8; ++i) {
                    reinterpret_cast<__half*>(to)[i] = column + i < columns ? from[i] : __float2half(0.0f);
                }
            }
            from += kPairing / kPairVectors * area;
        }
    };

    // Where a lane's row of what it loads begins. Rows are channels, so matrices come transposed.
    const int down = lane % 8, of_first = lane / 8 % 2 * 8, of_second = lane / 16 * 8;
    const int left = warp % 3 * kLeftTiles * 2, right = kPairVectors / 2 + warp / 3 * kRightTiles;
    float sum[kLeftTiles][kRightTiles][4] = {};
    float square[2] = {};

    bring(0);
#pragma unroll 1
    for (int chunk = 0; chunk < kPairedChannels / kChannelChunk; ++chunk) {
        copied();
        __syncthreads();
        if (chunk + 1 < kPairedChannels / kChannelChunk) bring(chunk + 1);
        const Eight(*now)[kPairPitch] = held[chunk % 2];
#pragma unroll
        for (int step = 0; step < kChannelChunk; step += 16) {
            unsigned a[kLeftTiles][4];
#pragma unroll
            for (int m = 0; m < kLeftTiles; ++m) {
                load_transposed(a[m], &now[step + down + of_second][left + 2 * m + of_first / 8]);
            }
#pragma unroll
            for (int n = 0; n < kRightTiles; n += 2) {
                unsigned b[4];
                load_transposed(b, &now[step + down + of_first][right + n + of_second / 8]);
#pragma unroll
                for (int m = 0; m < kLeftTiles; ++m) {
                    multiply_add(sum[m][n], a[m], Four{{b[0], b[1]}});
                    multiply_add(sum[m][n + 1], a[m], Four{{b[2], b[3]}});
                }
            }
        }
#pragma unroll 4
        for (int k = 0; k < kChannelChunk / 2; ++k) {
            const int channel = thread / kPairedColumns * (kChannelChunk / 2) + k;
            const unsigned two = reinterpret_cast<const unsigned*>(now[channel])[thread % kPairedColumns];
            const float2 x = __half22float2(*reinterpret_cast<const __half2*>(&two));
            square[0] = fmaf(x.x, x.x, square[0]);
            square[1] = fmaf(x.y, x.y, square[1]);
        }
    }

#pragma unroll
    for (int i = 0; i < 2; ++i) squares[thread / kPairedColumns][thread % kPairedColumns * 2 + i] = square[i];
    __syncthreads();
    inverse_length[thread] = 1.0f / fmaxf(sqrtf(squares[0][thread] + squares[1][thread]), kPairNormEps);
    __syncthreads();

#pragma unroll
    for (int m = 0; m < kLeftTiles; ++m) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            const int of_left = 8 * left + 16 * m + 8 * half + lane / 4, w = first_left + of_left;
            const float scale = inverse_length[of_left];
            __half* to = pairs + ((size_t(image) * rows + row) * columns + w) * columns;
#pragma unroll
            for (int n = 0; n < kRightTiles; ++n) {
                const int at = 8 * (right + n) + lane % 4 * 2, other = first_right + at - kPairedColumns;
                if (w >= columns || other >= columns) continue;
                const __half2 two = __floats2half2_rn(sum[m][n][2 * half] * (scale * inverse_length[at]),
                                                      sum[m][n][2 * half + 1] * (scale * inverse_length[at + 1]));
                if (columns % 2 == 0) {
                    *reinterpret_cast<__half2*>(to + other) = two;
                } else {
                    to[other] = two.x;
                    if (other + 1 < columns) to[other + 1] = two.y;
                }
            }
        }
    }
}
