// A leaky ReLU and another picture beside it. Plain-ops twin: ``nine_logits`` of ffs_ros/graph/upsampling.py.

#include "halves.cuh"

namespace {

constexpr int kJoinThreads = 256;

// The first ``filled`` of four halves, and zeros.
__device__ __forceinline__ Four kept(Four x, int filled) {
#pragma unroll
    for (int word = 0; word < 2; ++word) {
        const int left = filled - 2 * word;
        x.two[word] &= left >= 2 ? 0xffffffffu : left == 1 ? 0xffffu : 0u;
    }
    return x;
}

}  // namespace

// Pictures of P places, [P,C8] and [P,D8], of which ``channels`` and ``behind`` count, to [P,(C4+D)8]: filled up to
// multiples of eight and four, with zeros where it is written. ``slope`` in thousandths, for what is below 0 in the first.
// A thread has eight channels of a place. Grid ceil(places * vectors / 256), 256 threads.
extern "C" __global__ void __launch_bounds__(kJoinThreads)
    join_leaky(const Four* __restrict__ picture, const Four* __restrict__ other, Eight* __restrict__ to, int places,
               int channels, int slope, int behind) {
    const int fours = (channels + 3) / 4, vectors = (4 * fours + behind + 7) / 8;
    const int thread = blockIdx.x * kJoinThreads + threadIdx.x, place = thread / vectors, vector = thread % vectors;
    if (place >= places) return;
    const float below = float(slope) / 1000.0f;
    Eight made = {};
#pragma unroll
    for (int part = 0; part < 2; ++part) {
        const int four = 2 * vector + part, of_other = 4 * (four - fours);
        if (four < fours) {
            Values x = numbers(kept(picture[size_t(place) * 2 * ((channels + 7) / 8) + four], channels - 4 * four));
#pragma unroll
            for (int i = 0; i < 4; ++i) x.at[i] = x.at[i] < 0.0f ? below * x.at[i] : x.at[i];  // NaN stays
            made.four[part] = halves(x);
        } else if (of_other < behind) {
            made.four[part] = kept(other[size_t(place) * 2 * ((behind + 7) / 8) + four - fours], behind - of_other);
        }
    }
    to[thread] = made;
}
