// The transformer layer on the coarse volume: attention across the heads of one place, and two linear layers. Plain-ops
// twin: ffs_ros/graph/head_attention.py. Nothing is rounded to halves on the way.
//
// Places do not see each other, so each has a thread. Of a product's two factors the weights are read from shared memory,
// where all threads want the same ones at once, and so is the other where it would have to be indexed in registers.

#include "halves.cuh"

namespace {
namespace attention {

constexpr int kThreads = 64;
constexpr int kChannels = 28;
constexpr int kHeads = 4, kHeadChannels = kChannels / kHeads;
constexpr int kWide = 112;
constexpr int kPlanesAt16 = 12;
constexpr int kVectors = kStored / 8;
constexpr float kNormEps = 1e-5f;

// All in the order [input or hidden][output], but the first linear layer, which is [hidden][input].
struct Weights {
    float projection[kChannels][3 * kChannels], projection_bias[3 * kChannels];  // query, key, value
    float output[kChannels][kChannels], output_bias[kChannels];
    float first_scale[kChannels], first_shift[kChannels];
    float widen[kWide][kChannels], widen_bias[kWide];
    float narrow[kWide][kChannels], narrow_bias[kChannels];
    float second_scale[kChannels], second_shift[kChannels];
    float position[kPlanesAt16][kChannels];
};
constexpr int kWeights = sizeof(Weights) / sizeof(float);
static_assert(kWeights == 10108, "as graph/head_attention_nodes.py packs them");

__device__ __forceinline__ void normalise(float (&x)[kChannels], const float* scale, const float* shift) {
    float mean = 0.0f, variance = 0.0f;
#pragma unroll
    for (int i = 0; i < kChannels; ++i) mean += x[i];
    mean *= 1.0f / kChannels;
#pragma unroll
    for (int i = 0; i < kChannels; ++i) {
        x[i] -= mean;
        variance = fmaf(x[i], x[i], variance);
    }
    const float inverse = 1.0f / sqrtf(variance * (1.0f / kChannels) + kNormEps);
#pragma unroll
    for (int i = 0; i < kChannels; ++i) x[i] = fmaf(x[i] * inverse, scale[i], shift[i]);
}

}  // namespace attention
}  // namespace

// Volume [B,12,H,W,32], of whose channels 28 count, to the same, of which the others are 0. ``weights``: [10108].
// places = 12 batch * area, area = rows * columns. Grid ceil(places / 64), 64 threads.
extern "C" __global__ void __launch_bounds__(attention::kThreads)
    head_attention(const Eight* __restrict__ volume, const float* __restrict__ weights, Eight* __restrict__ to, int places,
                   int area) {
    using namespace attention;
    __shared__ __align__(16) Weights w;
    __shared__ float own[kChannels][kThreads];  // of each thread

    const int thread = threadIdx.x;
    for (int i = thread; i < kWeights / 4; i += kThreads) {
        reinterpret_cast<Eight*>(&w)[i] = reinterpret_cast<const Eight*>(weights)[i];
    }
    __syncthreads();
    const int place = blockIdx.x * kThreads + thread;
    if (place >= places) return;

    float x[kChannels];
    const float* position = w.position[place / area % kPlanesAt16];
#pragma unroll
    for (int vector = 0; vector < kVectors; ++vector) {
        const Eight given = volume[size_t(place) * kVectors + vector];
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            const int channel = 8 * vector + i;
            if (channel < kChannels) own[channel][thread] = x[channel] = numbers(given.four[i / 4]).at[i % 4] + position[channel];
        }
    }

    float projected[3 * kChannels];
#pragma unroll
    for (int i = 0; i < 3 * kChannels; ++i) projected[i] = w.projection_bias[i];
#pragma unroll 1
    for (int channel = 0; channel < kChannels; ++channel) {
        const float value = own[channel][thread];
#pragma unroll
        for (int i = 0; i < 3 * kChannels; ++i) projected[i] = fmaf(value, w.projection[channel][i], projected[i]);
    }
#pragma unroll
    for (int head = 0; head < kHeads; ++head) {
        float score[kHeads], largest = -3.4e38f, sum = 0.0f;
#pragma unroll
        for (int other = 0; other < kHeads; ++other) {
            score[other] = 0.0f;
#pragma unroll
            for (int i = 0; i < kHeadChannels; ++i) {
                score[other] = fmaf(projected[head * kHeadChannels + i],
                                    projected[kChannels + other * kHeadChannels + i], score[other]);
            }
            largest = fmaxf(largest, score[other]);
        }
#pragma unroll
        for (int other = 0; other < kHeads; ++other) sum += score[other] = expf(score[other] - largest);
        const float share = 1.0f / sum;
#pragma unroll
        for (int i = 0; i < kHeadChannels; ++i) {
            float mixed = 0.0f;
#pragma unroll
            for (int other = 0; other < kHeads; ++other) {
                mixed = fmaf(score[other], projected[2 * kChannels + other * kHeadChannels + i], mixed);
            }
            own[head * kHeadChannels + i][thread] = mixed * share;
        }
    }

#pragma unroll
    for (int i = 0; i < kChannels; ++i) x[i] += w.output_bias[i];
#pragma unroll 1
    for (int channel = 0; channel < kChannels; ++channel) {
        const float value = own[channel][thread];
#pragma unroll
        for (int i = 0; i < kChannels; ++i) x[i] = fmaf(value, w.output[channel][i], x[i]);
    }
    normalise(x, w.first_scale, w.first_shift);

    float y[kChannels];
#pragma unroll
    for (int i = 0; i < kChannels; ++i) y[i] = x[i] + w.narrow_bias[i];
#pragma unroll 2
    for (int hidden = 0; hidden < kWide; ++hidden) {
        float sum[4] = {w.widen_bias[hidden], 0.0f, 0.0f, 0.0f};
#pragma unroll
        for (int i = 0; i < kChannels; ++i) sum[i % 4] = fmaf(x[i], w.widen[hidden][i], sum[i % 4]);
        const float value = (sum[0] + sum[1]) + (sum[2] + sum[3]);
        const float gelu = 0.5f * value * (1.0f + erff(value * 0.70710678f));
#pragma unroll
        for (int i = 0; i < kChannels; ++i) y[i] = fmaf(gelu, w.narrow[hidden][i], y[i]);
    }
    normalise(y, w.second_scale, w.second_shift);

#pragma unroll
    for (int vector = 0; vector < kVectors; ++vector) {
        Values made[2];
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            const int channel = 8 * vector + i;
            made[i / 4].at[i % 4] = channel < kChannels ? y[channel < kChannels ? channel : 0] : 0.0f;
        }
        to[size_t(place) * kVectors + vector] = Eight{{halves(made[0]), halves(made[1])}};
    }
}
