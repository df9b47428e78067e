// Instance norm and a leaky ReLU behind it. Plain-ops twin: ``instance_norm`` of ffs_ros/graph/layers.py.

#include "halves.cuh"
#include "channel_statistics.cuh"
#include "normalised.cuh"

// Picture [N,H,W,C8] and its statistics [N,chunks,2,C8] to [N,H,W,C8]. pixels = H * W, ``slope`` in thousandths.
// Grid (ceil(pixels / range), ceil(C8 / 32), N), 256 threads.
extern "C" __global__ void __launch_bounds__(kNormThreads)
    instance_norm(const Eight* picture, const float* sums, Eight* to, int pixels, int channels, int chunk, int range,
                  int slope) {
    normalise<false>(picture, sums, nullptr, to, pixels, channels, chunk, range, slope, vectors_of(channels));
}
