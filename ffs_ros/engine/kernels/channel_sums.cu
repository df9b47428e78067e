// What an instance norm needs to know of each channel, chunk by chunk. Plain-ops twin: ``instance_norm`` of
// ffs_ros/graph/layers.py; instance_norm.cu merges the chunks.
//
// A thread has eight channels of every few places. Sums are of what is left behind its first value, which is one of
// those: of n values at most n times the deviations are taken away again, however far from zero they are.

#include "halves.cuh"
#include "channel_statistics.cuh"

namespace {

constexpr int kSumThreads = 512;
constexpr int kSumVectors = 64;  // of eight channels, of a block

}  // namespace

// Picture [N,H,W,C8] to [N,chunks,2,C8]: mean, and sum of squared deviations from it. pixels = H * W, vectors = C8 / 8.
// Grid (chunks, ceil(vectors / 64), N), 512 threads.
extern "C" __global__ void __launch_bounds__(kSumThreads)
    channel_sums(const Eight* __restrict__ picture, float* __restrict__ sums, int pixels, int vectors, int chunk) {
    __shared__ float means[kAtOnce][kSumThreads], squares[kAtOnce][kSumThreads];
    __shared__ int numbers_of[kSumThreads];

    const int thread = threadIdx.x, first = blockIdx.y * kSumVectors, image = blockIdx.z;
    const int here = smaller(kSumVectors, vectors - first), lanes = kSumThreads / here;
    const int lane = thread / here, vector = thread % here;
    const int begin = blockIdx.x * chunk, length = smaller(chunk, pixels - begin);
    int many = 0;

    if (lane < lanes && lane < length) {
        many = (length - lane + lanes - 1) / lanes;
        const Eight* from = picture + (size_t(image) * pixels + begin + lane) * vectors + first + vector;
        const Loaded shift = loaded(from);
        float sum[kAtOnce], square[kAtOnce];
#pragma unroll
        for (int i = 0; i < kAtOnce; ++i) sum[i] = square[i] = shift.at[i] - shift.at[i];  // NaN where it is not finite
        const size_t step = size_t(lanes) * vectors;
#pragma unroll 4
        for (int k = 1; k < many; ++k) {
            const Loaded x = loaded(from + k * step);
#pragma unroll
            for (int i = 0; i < kAtOnce; ++i) {
                const float left = x.at[i] - shift.at[i];
                sum[i] += left;
                square[i] = fmaf(left, left, square[i]);
            }
        }
        const float part = 1.0f / float(many);
#pragma unroll
        for (int i = 0; i < kAtOnce; ++i) {
            const float mean = sum[i] * part;
            means[i][thread] = shift.at[i] + mean;
            squares[i][thread] = fmaf(-sum[i], mean, square[i]);
        }
    } else {
#pragma unroll
        for (int i = 0; i < kAtOnce; ++i) means[i][thread] = squares[i][thread] = 0.0f;
    }
    numbers_of[thread] = many;
    __syncthreads();

    for (int half = kSumThreads / 2; half > 0; half /= 2) {
        const int other = thread + half * here;
        if (lane < half && lane + half < lanes) {
            const int mine = numbers_of[thread], theirs = numbers_of[other];
            const float share = share_of(theirs, mine + theirs), weight = float(mine) * share;
#pragma unroll
            for (int i = 0; i < kAtOnce; ++i) {
                const Statistics both = merged(
                    {means[i][thread], squares[i][thread]}, {means[i][other], squares[i][other]}, share, weight);
                means[i][thread] = both.mean;
                squares[i][thread] = both.squares;
            }
            numbers_of[thread] = mine + theirs;
        }
        __syncthreads();
    }

    const int channels = vectors * kAtOnce;
    float* to = sums + (size_t(image) * gridDim.x + blockIdx.x) * 2 * channels + first * kAtOnce;
    for (int c = thread; c < here * kAtOnce; c += kSumThreads) {
        to[c] = means[c % kAtOnce][c / kAtOnce];
        to[channels + c] = squares[c % kAtOnce][c / kAtOnce];
    }
}
