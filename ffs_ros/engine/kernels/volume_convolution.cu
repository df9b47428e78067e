// A convolution 3x3x3 of the volume, with a leaky ReLU behind it. Plain-ops twin: ffs_ros/graph/filtering.py.

#include "halves.cuh"
#include "tensor_cores.cuh"
#include "matrices.cuh"
#include "volume_convolution.cuh"

extern "C" __global__ void __launch_bounds__(convolution::kThreads, convolution::kBlocks)
    volume_convolution(const Eight* __restrict__ volume, const Eight* __restrict__ weight,
                         const float* __restrict__ bias, Eight* __restrict__ to, int batch, int planes, int rows,
                         int columns, int slope) {
    using namespace convolution;
    convolve<Behind::nothing>(volume, nullptr, weight, bias, to, batch, planes, rows, columns, slope);
}
