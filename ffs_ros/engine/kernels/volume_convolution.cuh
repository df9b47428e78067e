// A convolution 3x3x3 of a volume, 32 channels to 28, as products on tensor cores, and what stands behind it.
//
// A block walks along the planes of tiles of 8 rows x 16 columns. A plane and its border lie in shared memory while the
// next one is on its way; each adds to three planes of the result, which four warps keep in registers, two rows each. So
// what is read from shared memory serves several products. Planes of all tiles are shared out evenly among the blocks.
//
// The weights are read again and again, from L1: halves [3 rows][3 columns][2 steps][3 planes][2][32 lanes][2][4], for 16
// channels and twice 8 outputs what a lane gives to mma.m16n8k16 as B. Which outputs those are is such that a lane has
// eight that lie side by side: of the n-th 8, column 2 l + i is output 8 l + 2 n + i.

#pragma once

namespace {
namespace convolution {

constexpr int kTaps = 3;
constexpr int kTileRows = 8, kTileColumns = 16;
constexpr int kWarps = 4, kRows = kTileRows / kWarps;  // of a warp
constexpr int kThreads = 32 * kWarps;
constexpr int kBlocks = 3;  // of a processor
constexpr int kHeldRows = kTileRows + kTaps - 1, kHeldColumns = kTileColumns + kTaps - 1;
constexpr int kHeldPlaces = kHeldRows * kHeldColumns;
constexpr int kVectors = kStored / 8;    // of eight channels
constexpr int kPitch = kVectors + 1;     // rows of eight places meet in no bank
constexpr int kSteps = kStored / 16;     // products that make up a sum over the channels
constexpr int kOutputTiles = kStored / 8;
constexpr int kOutputs = 28;

struct Pair {
    Four tile[2];
};
static_assert(sizeof(Pair) == sizeof(Eight), "loaded at once");

// The sums of one plane: of a warp's rows, output tiles, and what a lane has of a product.
using Sums = float[kRows][kOutputTiles][4];

enum class Behind { nothing, residual, gate };

// What a plane in shared memory adds to three planes of the result: as the one before them, theirs, and the one behind.
template <bool kAll>
__device__ __forceinline__ void add_plane(const Eight* held, const Eight* __restrict__ weight, Sums& later, Sums& same,
                                          Sums& earlier, const bool (&wanted)[3]) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const Eight* mine = held + (warp * kRows * kHeldColumns + lane % 16) * kPitch + lane / 16;
    const Eight* of_lane = weight + lane;
#pragma unroll 1
    for (int x = 0; x < kTaps; ++x) {
#pragma unroll
        for (int step = 0; step < kSteps; ++step) {
            unsigned a[kRows + kTaps - 1][4];
#pragma unroll
            for (int row = 0; row < kRows + kTaps - 1; ++row) {
                load_matrix(a[row], mine + (row * kHeldColumns + x) * kPitch + 2 * step);
            }
#pragma unroll
            for (int plane = 0; plane < kTaps; ++plane) {
                if (!kAll && !wanted[plane]) continue;
                Sums& sums = plane == 0 ? later : plane == 1 ? same : earlier;
#pragma unroll
                for (int y = 0; y < kTaps; ++y) {
#pragma unroll
                    for (int two = 0; two < kOutputTiles / 2; ++two) {
                        const int at = (((y * kTaps + x) * kSteps + step) * kTaps + plane) * (kOutputTiles / 2) + two;
                        const Eight loaded = of_lane[32 * at];
                        const Pair b = *reinterpret_cast<const Pair*>(&loaded);
#pragma unroll
                        for (int i = 0; i < 2; ++i) {
#pragma unroll
                            for (int row = 0; row < kRows; ++row) {
                                multiply_add(sums[row][2 * two + i], a[y + row], b.tile[i]);
                            }
                        }
                    }
                }
            }
        }
    }
}

// Volume [B,D,H,W,32], all of it finite, to [B,D,H,W,32], of which 28 are outputs and the others 0: the convolution, plus
// the residual [B,D,H,W,32] or times the gate [B,H,W,32], with a leaky ReLU of ``slope`` thousandths behind the sum, or
// before the product. Any grid, 128 threads.
template <Behind kBehind>
__device__ __forceinline__ void convolve(const Eight* __restrict__ volume, const Eight* __restrict__ behind,
                                         const Eight* __restrict__ weight, const float* __restrict__ bias,
                                         Eight* __restrict__ to, int batch, int planes, int rows, int columns, int slope) {
    __shared__ __align__(16) Eight held[2][kHeldPlaces * kPitch];
    __shared__ __align__(16) Eight beside[kBehind == Behind::nothing ? 1 : 2 * kRows][kThreads];  // each thread its own
    __shared__ int places[kHeldPlaces];  // of the plane in the volume; -1 outside

    const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
    const int across = (columns + kTileColumns - 1) / kTileColumns, down = (rows + kTileRows - 1) / kTileRows;
    const size_t area = size_t(rows) * columns;
    const long long all = (long long)batch * down * across * planes;
    const int end = int(all * (blockIdx.x + 1) / gridDim.x);
    const float leaky = float(slope) / 1000.0f;
    const int first_output = lane % 4 * 8;
    float biases[8];
#pragma unroll
    for (int i = 0; i < 8; ++i) biases[i] = bias[first_output + i];

    for (int at = int(all * blockIdx.x / gridDim.x); at < end;) {
        const int tile = at / planes, image = tile / (down * across), begin = at % planes;
        const int stop = planes - begin < end - at ? planes : begin + end - at;
        const int first_row = tile / across % down * kTileRows, first_column = tile % across * kTileColumns;
        at += stop - begin;

        __syncthreads();  // nobody reads places of the last tile
        for (int i = thread; i < kHeldPlaces; i += kThreads) {
            const int row = first_row + i / kHeldColumns - 1, column = first_column + i % kHeldColumns - 1;
            places[i] = row >= 0 && row < rows && column >= 0 && column < columns ? row * columns + column : -1;
        }
        __syncthreads();

        const Eight* image_begin = volume + size_t(image) * planes * area * kVectors;
        auto hold = [&](int plane) {
            const Eight* from = image_begin + size_t(plane) * area * kVectors;
            Eight* into = held[plane % 2];
            for (int i = thread; i < kHeldPlaces * kVectors; i += kThreads) {
                const int place = places[i / kVectors], vector = i % kVectors;
                const bool there = place >= 0;
                copy(&into[i / kVectors * kPitch + vector], from + (there ? size_t(place) * kVectors + vector : 0), there);
            }
        };
        // A thread has 2 kRows places of a plane and eight channels of each.
        auto own_place = [&](int i) {
            const int row = first_row + warp * kRows + i / 2, column = first_column + lane / 4 + i % 2 * 8;
            return row < rows && column < columns ? row * columns + column : -1;
        };
        auto take = [&](const Eight* of_plane) {
#pragma unroll
            for (int i = 0; i < 2 * kRows; ++i) {
                const int place = own_place(i);
                const bool there = place >= 0;
                copy(&beside[i][thread], of_plane + (there ? size_t(place) * kVectors + lane % 4 : 0), there);
            }
        };

        Sums later, same, earlier;  // planes ``plane`` + 1, + 0 and - 1
#pragma unroll
        for (int i = 0; i < kRows * kOutputTiles * 4; ++i) {
            (&later[0][0][0])[i] = (&same[0][0][0])[i] = (&earlier[0][0][0])[i] = 0.0f;
        }
        hold(begin > 0 ? begin - 1 : 0);
        if (kBehind == Behind::gate) take(behind + size_t(image) * area * kVectors);
#pragma unroll 1
        for (int plane = begin - 1; plane <= stop; ++plane) {
            const bool whole = plane >= 0 && plane < planes, done = plane - 1 >= begin;
            const size_t of_done = (size_t(image) * planes + plane - 1) * area * kVectors;
            if (whole) {
                copied();
                __syncthreads();  // this plane is here, and nobody reads the other one any more
            }
            if (kBehind == Behind::residual && done) take(behind + of_done);
            mark();
            if (whole) {
                if (plane < stop && plane + 1 < planes) hold(plane + 1);
                mark();
                const bool wanted[3] = {plane + 1 < stop, plane >= begin && plane < stop, done};
                if (wanted[0] && wanted[1] && wanted[2]) {
                    add_plane<true>(held[plane % 2], weight, later, same, earlier, wanted);
                } else {
                    add_plane<false>(held[plane % 2], weight, later, same, earlier, wanted);
                }
            } else {
                mark();
            }
            if (done) {
                copied_before_mark();
#pragma unroll
                for (int i = 0; i < 2 * kRows; ++i) {
                    const int place = own_place(i);
                    if (place < 0) continue;
                    Eight other = {}, result;
                    if (kBehind != Behind::nothing) other = beside[i][thread];
#pragma unroll
                    for (int four = 0; four < 2; ++four) {
                        const Values given = numbers(other.four[four]);
                        Values made;
#pragma unroll
                        for (int j = 0; j < 4; ++j) {
                            const int output = 4 * four + j;
                            float x = earlier[i / 2][output / 2][i % 2 * 2 + output % 2] + biases[output];
                            if (kBehind == Behind::residual) x += given.at[j];
                            x = x < 0.0f ? leaky * x : x;  // NaN stays
                            if (kBehind == Behind::gate) x *= given.at[j];
                            made.at[j] = first_output + output < kOutputs ? x : 0.0f;
                        }
                        result.four[four] = halves(made);
                    }
                    to[of_done + size_t(place) * kVectors + lane % 4] = result;
                }
            }
#pragma unroll
            for (int i = 0; i < kRows * kOutputTiles * 4; ++i) {
                (&earlier[0][0][0])[i] = (&same[0][0][0])[i];
                (&same[0][0][0])[i] = (&later[0][0][0])[i];
                (&later[0][0][0])[i] = 0.0f;
            }
        }
    }
}

}  // namespace convolution
}  // namespace
