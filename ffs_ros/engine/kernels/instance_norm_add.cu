// Instance norm, the sum with a residual, and a leaky ReLU behind it. Plain-ops twin: ``merge`` of ffs_ros/graph/decoder.py.

#include "halves.cuh"
#include "channel_statistics.cuh"
#include "normalised.cuh"

// As instance_norm, with the residual [N,H,W,C8] added to the norm before the leaky ReLU.
extern "C" __global__ void __launch_bounds__(kNormThreads)
    instance_norm_add(const Eight* picture, const float* sums, const Eight* residual, Eight* to, int pixels,
                      int channels, int chunk, int range, int slope) {
    normalise<true>(picture, sums, residual, to, pixels, channels, chunk, range, slope, vectors_of(channels));
}
