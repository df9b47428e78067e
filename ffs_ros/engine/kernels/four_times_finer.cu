// Trilinear enlargement of the coarse volume to four times the planes, rows and columns, and the sum with what the
// hourglass began with. Plain-ops twin: ffs_ros/graph/resampling.py.
//
// Samples are at pixel centres, so fine samples 4i - 2 to 4i + 1 of an axis are between the coarse ones i - 1 and i, an
// eighth, three, five and seven eighths of the way; the edges' are repeated. Four threads have a place of 32 channels,
// and the 4 rows x 4 planes of one column that are between the same eight coarse places, which they read once.

#include "halves.cuh"

namespace {

constexpr int kFiner = 4;
constexpr int kParts = kStored / 8;                     // threads of a place
constexpr int kFinerColumns = 32;                       // of a block
constexpr int kFinerThreads = kFinerColumns * kParts;
constexpr int kCoarsePlanes = kPlanes / kFiner;
constexpr int kPlaneCells = kCoarsePlanes + 1;

struct Sums {
    Values four[2];
};

// Coarse samples around the fine ones of cell i.
struct Cell {
    int below, above;
};

__device__ __forceinline__ Cell cell(int i, int length) { return {i > 0 ? i - 1 : 0, i < length ? i : length - 1}; }

// How far the fine sample at ``at`` of a cell is from the coarse one below it.
__device__ __forceinline__ float fraction(int at) { return 0.25f * float(at) + 0.125f; }

__device__ __forceinline__ Sums between(const Sums& below, const Sums& above, float fraction) {
    Sums result;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        result.four[i / 4].at[i % 4] =
            fmaf(fraction, above.four[i / 4].at[i % 4], (1.0f - fraction) * below.four[i / 4].at[i % 4]);
    }
    return result;
}

__device__ __forceinline__ Sums between(const Eight& below, const Eight& above, float fraction) {
    return between(Sums{{numbers(below.four[0]), numbers(below.four[1])}},
                   Sums{{numbers(above.four[0]), numbers(above.four[1])}}, fraction);
}

}  // namespace

// volume [B,48,H,W,32] + the enlarged coarse [B,12,ceil(H/4),ceil(W/4),32], both channels last. Of 32 channels 28 count;
// the others are written as 0, whatever they are in what is read. Grid (ceil(columns / 32), ceil((rows + 2) / 4),
// 13 batch), 128 threads.
extern "C" __global__ void __launch_bounds__(kFinerThreads, 6)
    four_times_finer(const Eight* __restrict__ coarse, const Eight* __restrict__ volume, Eight* __restrict__ sum,
                     int rows, int columns) {
    const int part = threadIdx.x % kParts, column = blockIdx.x * kFinerColumns + threadIdx.x / kParts;
    if (column >= columns) return;
    const int image = blockIdx.z / kPlaneCells, plane_cell = blockIdx.z % kPlaneCells, row_cell = blockIdx.y;
    const int coarse_rows = (rows + kFiner - 1) / kFiner, coarse_columns = (columns + kFiner - 1) / kFiner;
    const Cell planes = cell(plane_cell, kCoarsePlanes), lines = cell(row_cell, coarse_rows);
    const Cell places = cell((column + 2) / kFiner, coarse_columns);

    Sums corner[2][2];  // lower and upper plane, lower and upper row; between the columns
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const int plane = i / 2 ? planes.above : planes.below, line = i % 2 ? lines.above : lines.below;
        const Eight* from =
            coarse + ((size_t(image) * kCoarsePlanes + plane) * coarse_rows + line) * coarse_columns * kParts + part;
        corner[i / 2][i % 2] =
            between(from[places.below * kParts], from[places.above * kParts], fraction((column + 2) % kFiner));
    }

    const int first_plane = plane_cell * kFiner - 2, first_row = row_cell * kFiner - 2;
#pragma unroll 1
    for (int p = 0; p < kFiner; ++p) {
        const int plane = first_plane + p;
        if (plane < 0 || plane >= kPlanes) continue;
        const ptrdiff_t step = ptrdiff_t(columns) * kParts;
        const ptrdiff_t begin = ((ptrdiff_t(image) * kPlanes + plane) * rows + first_row) * step + column * kParts + part;
        Eight given[kFiner];
#pragma unroll
        for (int r = 0; r < kFiner; ++r) {
            given[r] = Eight{};
            if (first_row + r >= 0 && first_row + r < rows) given[r] = volume[begin + r * step];
        }
        const Sums lower = between(corner[0][0], corner[1][0], fraction(p));
        const Sums upper = between(corner[0][1], corner[1][1], fraction(p));
#pragma unroll
        for (int r = 0; r < kFiner; ++r) {
            Sums result = between(lower, upper, fraction(r));
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const Values added = numbers(given[r].four[half]);
#pragma unroll
                for (int i = 0; i < 4; ++i) result.four[half].at[i] += added.at[i];
            }
            const Four last = part == kParts - 1 ? Four{{0, 0}} : halves(result.four[1]);
            if (first_row + r >= 0 && first_row + r < rows) {
                sum[begin + r * step] = Eight{{halves(result.four[0]), last}};
            }
        }
    }
}
