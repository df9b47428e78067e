// A block of the disparity head, with the sum around it. Plain-ops twin: ``wide_block`` of ffs_ros/graph/recurrent.py.
//
// A block of threads makes 8 x 8 pixels; what lies up to three pixels around them is in shared memory, in fp32. Of the
// depthwise convolution a warp has a quarter of the pixels and a thread one of 32 channels; the other four channels are
// shared out over all threads. Then a warp has 32 pixels and half of the hidden channels, 16 at a time, which never leave
// its registers: in the layout in which tensor cores sum up the first product they take them for the second.

#include "halves.cuh"
#include "tensor_cores.cuh"

namespace {

constexpr int kHeadChannels = 36;
constexpr int kHeadVectors = 5;                         // of eight channels, of a pixel; half of the last is nothing
constexpr int kHeadStored = 8 * kHeadVectors;
constexpr int kSide = 8;                                // pixels of a block, in rows and columns
constexpr int kBlockPixels = kSide * kSide;
constexpr int kKernelSide = 7, kReach = kKernelSide / 2;
constexpr int kKernelTaps = kKernelSide * kKernelSide;
constexpr int kTileSide = kSide + 2 * kReach;
// So many floats from row to row put two rows of four pairs of pixels x four channels in 32 banks.
constexpr int kTileRow = kTileSide * kHeadChannels + 4;
constexpr int kWideThreads = 128;
constexpr int kGroupWords = 20;                         // of two halves, of 16 hidden channels, of a lane

struct __align__(16) Quad {
    float at[4];
};
struct __align__(16) Words {
    unsigned at[4];
};

__device__ __forceinline__ unsigned word(const __half* at) { return *reinterpret_cast<const unsigned*>(at); }

__device__ __forceinline__ unsigned pair_of(float low, float high) {
    const __half2 both = __floats2half2_rn(low, high);
    return *reinterpret_cast<const unsigned*>(&both);
}

// 2 to the x, to 2 ulp.
__device__ __forceinline__ float power_of_two(float x) {
#ifdef __CUDACC__
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return exp2f(x);
#endif
}

// x times the normal distribution's share below x, within 6e-7: what is left of x, or missing, is |x| times the share
// beyond |x|, and the binary logarithm of that is nearly a polynomial (least squares, errors weighed as they end up).
__device__ __forceinline__ float gelu(float x) {
    const float a = fabsf(x);
    float y = fmaf(a, -4.88117207e-04f, 7.19880535e-03f);
    y = fmaf(a, y, -5.21468027e-02f);
    y = fmaf(a, y, -4.59595711e-01f);
    y = fmaf(a, y, -1.15100058f);
    y = fmaf(a, y, -1.0f);
    return fmaf(-a, power_of_two(y), fmaxf(x, 0.0f));
}

struct Depthwise {
    float weight[kKernelTaps], bias;
};

// Of one channel, from [50,36].
__device__ __forceinline__ Depthwise depthwise_of(const float* __restrict__ constants) {
    Depthwise result;
#pragma unroll
    for (int tap = 0; tap < kKernelTaps; ++tap) result.weight[tap] = constants[tap * kHeadChannels];
    result.bias = constants[kKernelTaps * kHeadChannels];
    return result;
}

// Some pixels of one channel. ``tile``: three rows above and three columns left of the first.
template <int kRows, int kColumns>
__device__ __forceinline__ void convolve(const Depthwise& by, const float* tile, __half* to) {
    float sum[kRows][kColumns];
#pragma unroll
    for (int i = 0; i < kRows * kColumns; ++i) sum[i / kColumns][i % kColumns] = by.bias;
#pragma unroll
    for (int row = 0; row < kRows + 2 * kReach; ++row) {
        float x[kColumns + 2 * kReach];
#pragma unroll
        for (int i = 0; i < kColumns + 2 * kReach; ++i) x[i] = tile[row * kTileRow + i * kHeadChannels];
#pragma unroll
        for (int y = 0; y < kRows; ++y) {
            const int tap = (row - y) * kKernelSide;
            if (tap < 0 || tap >= kKernelTaps) continue;
#pragma unroll
            for (int i = 0; i < kColumns * kKernelSide; ++i) {
                const int column = i % kColumns, along = i / kColumns;
                sum[y][column] = fmaf(x[column + along], by.weight[tap + along], sum[y][column]);
            }
        }
    }
#pragma unroll
    for (int i = 0; i < kRows * kColumns; ++i) {
        to[(i / kColumns * kSide + i % kColumns) * kHeadStored] = __float2half(sum[i / kColumns][i % kColumns]);
    }
}

}  // namespace

// Picture [B,H,W,40], 36 channels of it, to another one, whose fill is zeros. ``depthwise``: [50,36], the taps and the
// bias. ``wide``: halves [groups][5][32][8], of 16 hidden channels and a lane what it gives to mma as B: of the first
// product two times 8 outputs x 40 inputs (36 channels, the bias for the input 1, zeros), of the second 40 outputs x 16
// inputs. ``bias``: [40], of the second. An even number of groups. Grid (ceil(columns / 8), ceil(rows / 8), batch), 128
// threads.
extern "C" __global__ void __launch_bounds__(kWideThreads, 3)
    wide_block(const Eight* __restrict__ picture, const float* __restrict__ depthwise, const Words* __restrict__ wide,
               const float* __restrict__ bias, Eight* __restrict__ to, int rows, int columns, int groups) {
    __shared__ __align__(16) float tile[kTileSide * kTileRow];
    __shared__ __align__(16) __half inputs[kBlockPixels][kHeadStored];  // the pitch puts 8 rows x 4 words in 32 banks
    __shared__ __align__(16) float sums[kBlockPixels][kHeadStored];

    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const int top = blockIdx.y * kSide, left = blockIdx.x * kSide;
    const size_t image = size_t(blockIdx.z) * rows * columns;

    const Depthwise mine = depthwise_of(depthwise + lane);
#pragma unroll
    for (int k = 0; k < (kTileSide * kTileSide * kHeadVectors + kWideThreads - 1) / kWideThreads; ++k) {
        const int i = k * kWideThreads + thread;
        const int vector = i % kHeadVectors, place = i / kHeadVectors;
        const int row = place / kTileSide, column = place % kTileSide;
        const int y = top + row - kReach, x = left + column - kReach;
        if (row < kTileSide) {
            Eight value = {};
            if (y >= 0 && y < rows && x >= 0 && x < columns) {
                value = picture[(image + size_t(y) * columns + x) * kHeadVectors + vector];
            }
            Quad* into = reinterpret_cast<Quad*>(tile + row * kTileRow + column * kHeadChannels + 8 * vector);
            const Values low = numbers(value.four[0]), high = numbers(value.four[1]);
            into[0] = {{low.at[0], low.at[1], low.at[2], low.at[3]}};
            if (vector < kHeadVectors - 1) into[1] = {{high.at[0], high.at[1], high.at[2], high.at[3]}};
        }
    }
    if (thread < kBlockPixels) {
        *reinterpret_cast<Four*>(&inputs[thread][kHeadChannels]) = {{pair_of(1.0f, 0.0f), 0}};
    }
    __syncthreads();

    {
        const int y = warp / 2 * 4, x = warp % 2 * 4;
        convolve<4, 4>(mine, tile + y * kTileRow + x * kHeadChannels + lane, &inputs[y * kSide + x][lane]);
    }
    {
        const int channel = 32 + thread % 4, y = thread / 16, x = thread / 4 % 4 * 2;
        const Depthwise other = depthwise_of(depthwise + channel);
        convolve<1, 2>(other, tile + y * kTileRow + x * kHeadChannels + channel, &inputs[y * kSide + x][channel]);
    }
    __syncthreads();

    const int first = warp % 2 * 32 + lane / 4, column = lane % 4 * 2, half = warp / 2;
    unsigned a[2][2][4], rest[2][2];
#pragma unroll
    for (int m = 0; m < 2; ++m) {
        const __half *from = &inputs[first + 16 * m][column], *below = &inputs[first + 16 * m + 8][column];
#pragma unroll
        for (int k = 0; k < 2; ++k) {
            a[m][k][0] = word(from + 16 * k);
            a[m][k][1] = word(below + 16 * k);
            a[m][k][2] = word(from + 16 * k + 8);
            a[m][k][3] = word(below + 16 * k + 8);
        }
        rest[m][0] = word(from + 32);
        rest[m][1] = word(below + 32);
    }

    float sum[2][kHeadVectors][4] = {};
    const int many = groups / 2;
    const Words* from = wide + (half * many * (kGroupWords / 4)) * 32 + lane;
    Words next[kGroupWords / 4];
#pragma unroll
    for (int i = 0; i < kGroupWords / 4; ++i) next[i] = from[32 * i];
#pragma unroll 1
    for (int group = 0; group < many; ++group) {
        unsigned b[kGroupWords];
#pragma unroll
        for (int i = 0; i < kGroupWords; ++i) b[i] = next[i / 4].at[i % 4];
        if (group + 1 < many) from += kGroupWords / 4 * 32;
#pragma unroll
        for (int i = 0; i < kGroupWords / 4; ++i) next[i] = from[32 * i];

        float hidden[2][2][4] = {};
#pragma unroll
        for (int n = 0; n < 2; ++n) {
#pragma unroll
            for (int k = 0; k < 2; ++k) {
#pragma unroll
                for (int m = 0; m < 2; ++m) multiply_add(hidden[m][n], a[m][k], {{b[5 * n + 2 * k], b[5 * n + 2 * k + 1]}});
            }
#pragma unroll
            for (int m = 0; m < 2; ++m) multiply_add(hidden[m][n], rest[m], b[5 * n + 4]);
        }
#pragma unroll
        for (int m = 0; m < 2; ++m) {
            unsigned made[4];
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                made[i] = pair_of(gelu(hidden[m][i / 2][i % 2 * 2]), gelu(hidden[m][i / 2][i % 2 * 2 + 1]));
            }
#pragma unroll
            for (int n = 0; n < kHeadVectors; ++n) multiply_add(sum[m][n], made, {{b[10 + 2 * n], b[11 + 2 * n]}});
        }
    }

    // The upper half of the hidden channels first, then the lower on top of it.
#pragma unroll
    for (int turn = 1; turn >= 0; --turn) {
        if (half == turn) {
#pragma unroll
            for (int i = 0; i < 2 * kHeadVectors * 4; ++i) {
                const int m = i / (4 * kHeadVectors), n = i / 4 % kHeadVectors, at = i % 4;
                float& place = sums[first + 16 * m + at / 2 * 8][8 * n + column + at % 2];
                place = turn == 1 ? sum[m][n][at] : place + sum[m][n][at];
            }
        }
        __syncthreads();
    }

#pragma unroll
    for (int k = 0; k < (kBlockPixels * kHeadVectors + kWideThreads - 1) / kWideThreads; ++k) {
        const int i = k * kWideThreads + thread, vector = i % kHeadVectors, pixel = i / kHeadVectors;
        const int row = pixel / kSide, over = pixel % kSide, y = top + row, x = left + over;
        if (pixel >= kBlockPixels || y >= rows || x >= columns) continue;
        const float* before = tile + (row + kReach) * kTileRow + (over + kReach) * kHeadChannels + 8 * vector;
        Values result[2] = {};
#pragma unroll
        for (int c = 0; c < 8; ++c) {
            if (c >= 4 && vector == kHeadVectors - 1) continue;
            result[c / 4].at[c % 4] = before[c] + (sums[pixel][8 * vector + c] + bias[8 * vector + c]);
        }
        to[(image + size_t(y) * columns + x) * kHeadVectors + vector] = {{halves(result[0]), halves(result[1])}};
    }
}
