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
// The gap between rows puts two of them, of four pairs of pixels x four channels, in 32 banks.
constexpr int kTileGap = 4, kTileRow = kTileSide * kHeadChannels + kTileGap;
constexpr int kWideThreads = 128;
constexpr int kAtATime = kWideThreads / kHeadVectors;   // pixels of the tile that the threads load together
constexpr int kTileSteps = (kTileSide * kTileSide + kAtATime - 1) / kAtATime;
constexpr int kGroupWords = 20;                         // of two halves, of 16 hidden channels, of a lane

struct __align__(16) Quad {
    float at[4];
};
struct __align__(8) Two {
    float at[2];
};
struct __align__(16) Words {
    unsigned at[4];
};

__device__ __forceinline__ Quad quad(Values x) { return {{x.at[0], x.at[1], x.at[2], x.at[3]}}; }

__device__ __forceinline__ Two sum_of(Two a, Two b) { return {{a.at[0] + b.at[0], a.at[1] + b.at[1]}}; }

__device__ __forceinline__ unsigned word(const __half* at) { return *reinterpret_cast<const unsigned*>(at); }

__device__ __forceinline__ unsigned pair_of(float low, float high) {
    const __half2 both = __floats2half2_rn(low, high);
    return *reinterpret_cast<const unsigned*>(&both);
}

// multiply_add where there is no sum yet.
__device__ __forceinline__ void multiply(float (&product)[4], const unsigned (&a)[4], Four b) {
#ifdef __CUDACC__
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%10, %10, %10, %10};"
        : "=f"(product[0]), "=f"(product[1]), "=f"(product[2]), "=f"(product[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b.two[0]), "r"(b.two[1]), "f"(0.0f));
#else
    for (float& one : product) one = 0.0f;
    multiply_add(product, a, b);
#endif
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

// x times the normal distribution's share below x, within 6e-5, as halves of that size are: what is left of x, or missing,
// is |x| times the share beyond |x|, and the binary logarithm of that is nearly a polynomial (least squares, the errors
// weighed as they end up, the largest ones more and more).
__device__ __forceinline__ float gelu(float x) {
    const float a = fabsf(x);
    float y = fmaf(a, -0.0248856299f, -0.498820019f);
    y = fmaf(a, y, -1.12924598f);
    y = fmaf(a, y, -1.00353172f);
    return fmaf(-a, power_of_two(y), fmaxf(x, 0.0f));
}

constexpr int kTapQuads = (kKernelTaps + 4) / 4;       // the taps, the bias and zeros

struct Depthwise {
    Quad quads[kTapQuads];
    __device__ __forceinline__ float weight(int tap) const { return quads[tap / 4].at[tap % 4]; }
    __device__ __forceinline__ float bias() const { return weight(kKernelTaps); }
};

// Of one channel, from [13,36,4].
__device__ __forceinline__ Depthwise depthwise_of(const Quad* __restrict__ constants) {
    Depthwise result;
#pragma unroll
    for (int i = 0; i < kTapQuads; ++i) result.quads[i] = constants[i * kHeadChannels];
    return result;
}

// Some pixels of one channel. ``tile``: three rows above and three columns left of the first.
template <int kRows, int kColumns>
__device__ __forceinline__ void convolve(const Depthwise& by, const float* tile, __half* to) {
    float sum[kRows][kColumns];
#pragma unroll
    for (int i = 0; i < kRows * kColumns; ++i) sum[i / kColumns][i % kColumns] = by.bias();
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
                sum[y][column] = fmaf(x[column + along], by.weight(tap + along), sum[y][column]);
            }
        }
    }
#pragma unroll
    for (int i = 0; i < kRows * kColumns; ++i) {
        to[(i / kColumns * kSide + i % kColumns) * kHeadStored] = __float2half(sum[i / kColumns][i % kColumns]);
    }
}

}  // namespace

// Picture [B,H,W,40], 36 channels of it, to another one, whose fill is zeros. ``depthwise``: [13,36,4], of each channel
// 49 taps, the bias and zeros. ``wide``: halves [groups][5][32][8], of 16 hidden channels and a lane what it gives to mma as B: of the first
// product two times 8 outputs x 40 inputs (36 channels, the bias for the input 1, zeros), of the second 40 outputs x 16
// inputs. ``bias``: [40], of the second. An even number of groups. Grid (ceil(columns / 8), ceil(rows / 8), batch), 128
// threads.
extern "C" __global__ void __launch_bounds__(kWideThreads, 3)
    wide_block(const Eight* __restrict__ picture, const Quad* __restrict__ depthwise, const Words* __restrict__ wide,
               const float* __restrict__ bias, Eight* __restrict__ to, int rows, int columns, int groups) {
    __shared__ __align__(16) float tile[kTileSide * kTileRow];
    __shared__ __align__(16) __half inputs[kBlockPixels][kHeadStored];  // the pitch puts 8 rows x 4 words in 32 banks
    __shared__ __align__(16) float sums[kBlockPixels][kHeadStored];

    const int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    const int top = blockIdx.y * kSide, left = blockIdx.x * kSide;
    const size_t image = size_t(blockIdx.z) * rows * columns;

    const int few = kHeadChannels - 4 + thread % 4;
    const Depthwise mine = depthwise_of(depthwise + lane), other = depthwise_of(depthwise + few);
    // Of each pixel of the tile a thread has the same eighth; all its loads are under way together.
    const int vector = thread % kHeadVectors, place = thread / kHeadVectors;
    const Eight* here = picture + image * kHeadVectors + vector;
    Eight held[kTileSteps];
#pragma unroll
    for (int k = 0; k < kTileSteps; ++k) {
        const int at = place + k * kAtATime;
        const int y = top + at / kTileSide - kReach, x = left + at % kTileSide - kReach;
        held[k] = {};
        if (unsigned(y) < unsigned(rows) && unsigned(x) < unsigned(columns)) {
            held[k] = here[(y * columns + x) * kHeadVectors];
        }
    }
#pragma unroll
    for (int k = 0; k < kTileSteps; ++k) {
        const int at = place + k * kAtATime;
        float* into = tile + at * kHeadChannels + at / kTileSide * kTileGap + 8 * vector;
        if (at < kTileSide * kTileSide && place < kAtATime) {
            *reinterpret_cast<Quad*>(into) = quad(numbers(held[k].four[0]));
            if (vector < kHeadVectors - 1) *reinterpret_cast<Quad*>(into + 4) = quad(numbers(held[k].four[1]));
        }
    }
    if (thread < kBlockPixels) {
        *reinterpret_cast<Four*>(&inputs[thread][kHeadChannels]) = {{pair_of(1.0f, 0.0f), 0}};
    }
    __syncthreads();

    const int half = warp / 2, many = groups / 2;
    const Words* from = wide + (half * many * (kGroupWords / 4)) * 32 + lane;
    Words next[kGroupWords / 4];
#pragma unroll
    for (int i = 0; i < kGroupWords / 4; ++i) next[i] = from[32 * i];

    {
        const int y = thread / 16, x = thread / 4 % 4 * 2;
        convolve<1, 2>(other, tile + y * kTileRow + x * kHeadChannels + few, &inputs[y * kSide + x][few]);
    }
    {
        const int y = warp / 2 * 4, x = warp % 2 * 4;
        convolve<4, 4>(mine, tile + y * kTileRow + x * kHeadChannels + lane, &inputs[y * kSide + x][lane]);
    }
    __syncthreads();

    const int first = warp % 2 * 32 + lane / 4, column = lane % 4 * 2;
    unsigned a[2][2][4], rest[2][2];
#pragma unroll
    for (int m = 0; m < 2; ++m) {
        const __half *above = &inputs[first + 16 * m][column], *below = &inputs[first + 16 * m + 8][column];
#pragma unroll
        for (int k = 0; k < 2; ++k) {
            a[m][k][0] = word(above + 16 * k);
            a[m][k][1] = word(below + 16 * k);
            a[m][k][2] = word(above + 16 * k + 8);
            a[m][k][3] = word(below + 16 * k + 8);
        }
        rest[m][0] = word(above + 32);
        rest[m][1] = word(below + 32);
    }

    float sum[2][kHeadVectors][4];
#pragma unroll
    for (int n = 0; n < kHeadVectors; ++n) {
        const Two of = half == 0 ? *reinterpret_cast<const Two*>(bias + 8 * n + column) : Two{};
#pragma unroll
        for (int i = 0; i < 8; ++i) sum[i / 4][n][i % 4] = of.at[i % 2];
    }
#pragma unroll 1
    for (int group = 0; group < many; ++group) {
        unsigned b[kGroupWords];
#pragma unroll
        for (int i = 0; i < kGroupWords; ++i) b[i] = next[i / 4].at[i % 4];
        if (group + 1 < many) from += kGroupWords / 4 * 32;
#pragma unroll
        for (int i = 0; i < kGroupWords / 4; ++i) next[i] = from[32 * i];

        float hidden[2][2][4];
#pragma unroll
        for (int n = 0; n < 2; ++n) {
            const unsigned* of = b + 5 * n;
#pragma unroll
            for (int m = 0; m < 2; ++m) multiply(hidden[m][n], a[m][0], {{of[0], of[1]}});
#pragma unroll
            for (int m = 0; m < 2; ++m) multiply_add(hidden[m][n], a[m][1], {{of[2], of[3]}});
#pragma unroll
            for (int m = 0; m < 2; ++m) multiply_add(hidden[m][n], rest[m], of[4]);
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
            for (int i = 0; i < 4 * kHeadVectors; ++i) {
                const int m = i / 2 % 2, low = i % 2, n = i / 4;
                Two* at = reinterpret_cast<Two*>(&sums[first + 16 * m + 8 * low][8 * n + column]);
                const Two mine = {{sum[m][n][2 * low], sum[m][n][2 * low + 1]}};
                *at = turn == 1 ? mine : sum_of(*at, mine);
            }
        }
        __syncthreads();
    }

#pragma unroll
    for (int k = 0; k < (kBlockPixels + kAtATime - 1) / kAtATime; ++k) {
        const int pixel = place + k * kAtATime, y = top + pixel / kSide, x = left + pixel % kSide;
        if (place >= kAtATime || pixel >= kBlockPixels || y >= rows || x >= columns) continue;
        const float* inner = tile + (pixel / kSide + kReach) * kTileRow + (pixel % kSide + kReach) * kHeadChannels;
        Values result[2] = {};
#pragma unroll
        for (int low = 0; low < 2; ++low) {
            if (low == 1 && vector == kHeadVectors - 1) continue;
            const Quad before = reinterpret_cast<const Quad*>(inner)[2 * vector + low];
            const Quad more = reinterpret_cast<const Quad*>(sums[pixel])[2 * vector + low];
#pragma unroll
            for (int c = 0; c < 4; ++c) result[low].at[c] = before.at[c] + more.at[c];
        }
        to[(image + size_t(y) * columns + x) * kHeadVectors + vector] = {{halves(result[0]), halves(result[1])}};
    }
}
