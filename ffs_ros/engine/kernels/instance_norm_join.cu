// Instance norm, a leaky ReLU behind it, and another picture beside that. Plain-ops twin: ``merge`` of
// ffs_ros/graph/decoder.py.

#include "halves.cuh"
#include "channel_statistics.cuh"
#include "normalised.cuh"

namespace {

// Up to 32 channels, from vector ``first`` on, of a range of places: from vector ``begin`` on of what is written.
__device__ __forceinline__ void copy(const Eight* __restrict__ from, Eight* __restrict__ to, int pixels, int channels,
                                     int range, int first, int begin, int apart) {
    const int vectors = vectors_of(channels), here = smaller(kNormVectors, vectors - first);
    const int lanes = kNormThreads / here, lane = threadIdx.x / here, vector = first + threadIdx.x % here;
    const int start = blockIdx.x * range, end = start + smaller(range, pixels - start);
    const int filled = channels - vector * kAtOnce;  // of the eight
    if (lane >= lanes) return;
#pragma unroll 4
    for (int pixel = start + lane; pixel < end; pixel += lanes) {
        const size_t place = size_t(blockIdx.z) * pixels + pixel;
        Eight x = from[place * vectors + vector];
#pragma unroll
        for (int word = 0; word < kAtOnce / 2; ++word) {
            const int left = filled - 2 * word;
            x.four[word / 2].two[word % 2] &= left >= 2 ? 0xffffffffu : left == 1 ? 0xffffu : 0u;
        }
        to[place * apart + begin + vector] = x;
    }
}

}  // namespace

// As instance_norm, to [N,H,W,C8+D8], with the other picture [N,H,W,D8] behind the norm's channels: ``behind`` channels,
// and zeros. The first ceil(C8 / 32) blocks of the grid's y have the norm's, ceil(D8 / 32) more have the others.
extern "C" __global__ void __launch_bounds__(kNormThreads, 5)
    instance_norm_join(const Eight* picture, const float* sums, const Eight* other, Eight* to, int pixels, int channels,
                       int chunk, int range, int slope, int behind) {
    const int vectors = vectors_of(channels), apart = vectors + vectors_of(behind);
    const int tile = blockIdx.y - (vectors + kNormVectors - 1) / kNormVectors;
    if (tile < 0) {
        normalise<false>(picture, sums, nullptr, to, pixels, channels, chunk, range, slope, apart);
    } else {
        copy(other, to, pixels, behind, range, tile * kNormVectors, vectors, apart);
    }
}
