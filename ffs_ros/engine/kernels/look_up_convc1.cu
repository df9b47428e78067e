// Look-up around the disparity, and the layer behind it. Plain-ops twin: ffs_ros/graph/lookup.py.
//
// Nine samples around the disparity, one plane apart, on two levels: planes, and means of planes 2k, 2k + 1.
//
// Eight threads have a pixel: seven have four of the 28 channels of geometry each, the eighth the correlation, whose
// axis is the right column and whose position is the pixel's column less the disparity. They read 20 entries, those of
// the ten means around the position on level 1, and the ten neighbours on level 0 are among them.

#include "halves.cuh"
#include "tensor_cores.cuh"

namespace {

constexpr int kTaps = 9;
constexpr int kSamples = 2 * kTaps * kStored;
constexpr int kEntries = 2 * (kTaps + 1);
constexpr int kPerPixel = 8;                            // threads

__device__ __forceinline__ Four blended(const Values& lower, const Values& upper, float fraction) {
    Values result;
#pragma unroll
    for (int i = 0; i < 4; ++i) result.at[i] = fmaf(fraction, upper.at[i] - lower.at[i], lower.at[i]);
    return halves(result);
}

// Writes the samples of one thread, four of every 32: to[8 (9 level + tap)].
__device__ __forceinline__ void sample(const float* __restrict__ disparity, const __half* __restrict__ volume,
                                       const __half* __restrict__ pairs, int pixel, int part, int area, int columns,
                                       Four* to) {
    const bool geometry = part != kPerPixel - 1;

    const float d = disparity[pixel];
    const float position = geometry ? d : float(pixel % columns) - d;
    const int length = geometry ? kPlanes : columns;
    // Far outside everything is zero, wherever: the bounds keep integers small, and NaN (fmaxf drops it) among them.
    const int below = int(fminf(fmaxf(floorf(position), -16.0f), float(length + 16)));
    const int odd = below & 1;
    const int start = below - odd - (kTaps - 1);

    Four entry[kEntries];
    if (geometry) {
        const ptrdiff_t step = ptrdiff_t(area) * kStored, image = pixel / area;
        const __half* from = volume + (image * kPlanes + start) * step + pixel % area * kStored + 4 * part;
#pragma unroll
        for (int k = 0; k < kEntries; ++k) {
            const int at = start + k;
            entry[k] = {{0, 0}};
            if (at >= 0 && at < length) entry[k] = *reinterpret_cast<const Four*>(from + k * step);
        }
    } else {
        const __half* from = pairs + size_t(pixel) * columns;
#pragma unroll
        for (int k = 0; k < kEntries; ++k) {
            const int at = start + k;
            entry[k] = {{0, 0}};
            if (at >= 0 && at < length) entry[k].two[0] = reinterpret_cast<const unsigned short*>(from)[at];
        }
    }

    const float fraction = position - floorf(position);
    Values lower, upper;
#pragma unroll
    for (int t = 0; t <= kTaps; ++t) {
        upper = numbers(odd ? entry[kTaps / 2 + 1 + t] : entry[kTaps / 2 + t]);
        if (t > 0) to[(t - 1) * kPerPixel] = blended(lower, upper, fraction);
        lower = upper;
    }
    const float coarse = 0.5f * position;
    const float coarse_fraction = coarse - floorf(coarse);
#pragma unroll
    for (int t = 0; t <= kTaps; ++t) {
        const Values even = numbers(entry[2 * t]), next = numbers(entry[2 * t + 1]);
        const bool whole = start + 2 * t + 1 < length;  // an odd length leaves its last entry out
#pragma unroll
        for (int i = 0; i < 4; ++i) upper.at[i] = whole ? 0.5f * (even.at[i] + next.at[i]) : 0.0f;
        if (t > 0) to[(kTaps + t - 1) * kPerPixel] = blended(lower, upper, coarse_fraction);
        lower = upper;
    }
}

constexpr int kOutputs = 56;
constexpr int kSteps = kSamples / 16;
constexpr int kEncodedPixels = 32;                      // of a block
constexpr int kEncodedThreads = kEncodedPixels * kPerPixel;
constexpr int kPitch = kSamples + 8;

}  // namespace

// convc1 of the samples, with its ReLU: evidence [B,H,W,56] from the disparity [B,H,W], the geometry volume [B,48,H,W,32]
// (of whose channels 28 are read) and the correlation of all pairs [B,H,W,W]. ``weight``: halves [36][7][32][4], for 16
// of the 576 samples, 8 outputs and a lane what it gives to mma.m16n8k16 as B; sample 32 (9 level + tap) + c is of
// channel c, 28 is the correlation's, those above are zero. Whatever the disparity, nothing outside is read; where it is
// not finite the pixel is NaN. pixels = batch * rows * columns, area = rows * columns. Grid ceil(pixels / 32), 256
// threads; each of 8 warps has 16 pixels and a quarter of the samples.
extern "C" __global__ void __launch_bounds__(kEncodedThreads, 4)
    look_up_convc1(const float* disparity, const __half* volume, const __half* pairs,
                   const Four* __restrict__ weight, const float* __restrict__ bias, __half* evidence, int pixels,
                   int area, int columns) {
    // The pitch puts 8 rows x 4 words in 32 banks. Sums take the samples' place: 4 quarters x 32 pixels x 56 outputs.
    __shared__ __align__(16) __half samples[kEncodedPixels][kPitch];
    float(*sums)[kEncodedPixels][kOutputs] = reinterpret_cast<float(*)[kEncodedPixels][kOutputs]>(samples);

    const int thread = threadIdx.x, first = blockIdx.x * kEncodedPixels;
    const int mine = thread / kPerPixel, last = pixels - 1;
    const int pixel = first + mine < last ? first + mine : last;
    sample(disparity, volume, pairs, pixel, thread % kPerPixel, area, columns,
           reinterpret_cast<Four*>(samples[mine]) + thread % kPerPixel);
    __syncthreads();

    const int lane = thread % 32, row = thread / 32 % 2 * 16 + lane / 4, quarter = thread / 64;
    float sum[kOutputs / 8][4] = {};
#pragma unroll 3
    for (int step = 0; step < kSteps / 4; ++step) {
        const int from = quarter * (kSteps / 4) + step, column = 16 * from + lane % 4 * 2;
        const unsigned a[4] = {
            *reinterpret_cast<const unsigned*>(&samples[row][column]),
            *reinterpret_cast<const unsigned*>(&samples[row + 8][column]),
            *reinterpret_cast<const unsigned*>(&samples[row][column + 8]),
            *reinterpret_cast<const unsigned*>(&samples[row + 8][column + 8]),
        };
#pragma unroll
        for (int n = 0; n < kOutputs / 8; ++n) multiply_add(sum[n], a, weight[(from * (kOutputs / 8) + n) * 32 + lane]);
    }
    __syncthreads();
#pragma unroll
    for (int n = 0; n < kOutputs / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) sums[quarter][row + i / 2 * 8][8 * n + lane % 4 * 2 + i % 2] = sum[n][i];
    }
    __syncthreads();

    const int done = thread / (kOutputs / 8), output = thread % (kOutputs / 8) * 8;
    if (done < kEncodedPixels && first + done < pixels) {
        Values result[2];
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            float x = bias[output + i];
#pragma unroll
            for (int q = 0; q < 4; ++q) x += sums[q][done][output + i];
            result[i / 4].at[i % 4] = x < 0.0f ? 0.0f : x;  // NaN stays
        }
        *reinterpret_cast<Eight*>(evidence + size_t(first + done) * kOutputs + output) =
            Eight{{halves(result[0]), halves(result[1])}};
    }
}
