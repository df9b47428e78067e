// Instance norm and what follows it, from the statistics that channel_sums.cu leaves.
//
// A block has up to 32 channels of a range of places. It first merges the chunks of those channels, a warp every eighth.

#pragma once

namespace {

constexpr int kNormThreads = 256;
constexpr int kNormVectors = 4;  // of eight channels, of a block
constexpr int kNormChannels = kNormVectors * kAtOnce;
constexpr int kWarps = kNormThreads / kNormChannels;
constexpr float kInstanceNormEps = 1e-5f;

__device__ __forceinline__ int vectors_of(int channels) { return (channels + kAtOnce - 1) / kAtOnce; }

// Leaky ReLU, with ``slope`` thousandths below 0, of the norm, or of its sum with ``residual``. Of ``range`` places, that
// are ``apart`` vectors from each other in what is written. What fills the channels up to a multiple of eight is whatever
// it is where it is read, and zero where it is written.
template <bool kResidual>
__device__ __forceinline__ void normalise(const Eight* __restrict__ picture, const float* __restrict__ sums,
                                          const Eight* __restrict__ residual, Eight* __restrict__ to, int pixels,
                                          int channels, int chunk, int range, int slope, int apart) {
    __shared__ float means[kWarps][kNormChannels], squares[kWarps][kNormChannels];
    __shared__ int numbers_of[kWarps];

    const int thread = threadIdx.x, first = blockIdx.y * kNormVectors, image = blockIdx.z;
    const int vectors = vectors_of(channels), stored = vectors * kAtOnce;
    const int here = smaller(kNormVectors, vectors - first);
    const int chunks = (pixels + chunk - 1) / chunk;

    const int warp = thread / kNormChannels, channel = thread % kNormChannels;
    Statistics mine = {0.0f, 0.0f};
    int many = 0;
    if (channel < here * kAtOnce) {
        const float* from = sums + size_t(image) * chunks * 2 * stored + first * kAtOnce + channel;
#pragma unroll 4
        for (int k = warp; k < chunks; k += kWarps) {
            const float* at = from + size_t(k) * 2 * stored;
            const int more = smaller(chunk, pixels - k * chunk);
            const float share = share_of(more, many + more);
            mine = merged(mine, {at[0], at[stored]}, share, float(many) * share);
            many += more;
        }
    }
    means[warp][channel] = mine.mean;
    squares[warp][channel] = mine.squares;
    if (channel == 0) numbers_of[warp] = many;
    __syncthreads();
    if (warp == 0) {
        for (int other = 1; other < kWarps; ++other) {
            const int more = numbers_of[other];
            const float share = share_of(more, many + more);
            mine = merged(mine, {means[other][channel], squares[other][channel]}, share, float(many) * share);
            many += more;
        }
        means[0][channel] = mine.mean;
        squares[0][channel] = 1.0f / sqrtf(mine.squares / float(pixels) + kInstanceNormEps);
    }
    __syncthreads();

    const int lanes = kNormThreads / here, lane = thread / here, vector = thread % here;
    if (lane >= lanes) return;
    float mean[kAtOnce], scale[kAtOnce];
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
        mean[i] = means[0][vector * kAtOnce + i];
        scale[i] = squares[0][vector * kAtOnce + i];
    }
    const int filled = channels - (first + vector) * kAtOnce;  // of the eight
    const float below = float(slope) / 1000.0f;
    const int begin = blockIdx.x * range, end = begin + smaller(range, pixels - begin);
#pragma unroll 4
    for (int pixel = begin + lane; pixel < end; pixel += lanes) {
        const size_t place = size_t(image) * pixels + pixel, at = place * vectors + first + vector;
        const Loaded x = loaded(picture + at);
        Loaded added = {};
        if (kResidual) added = loaded(residual + at);
        Values result[2];
#pragma unroll
        for (int i = 0; i < kAtOnce; ++i) {
            const float y = (x.at[i] - mean[i]) * scale[i] + added.at[i];
            result[i / 4].at[i % 4] = i >= filled ? 0.0f : y < 0.0f ? below * y : y;  // NaN stays
        }
        to[place * apart + first + vector] = {{halves(result[0]), halves(result[1])}};
    }
}

}  // namespace
