// Two steps of the network that TensorRT does slowly: the cost volume, and the look-up around the disparity.
//
// Plain-ops twins: ffs_ros/graph/volume.py and lookup.py. Halves are stored; sums, norms, positions and fractions are
// fp32. Any batch, rows and columns; all at 1/4 of the images. "Channels last" has the channels of one place side by
// side, padded to a multiple of 8: TensorRT's HWC8 of [B,C,H,W] is [B,H,W,C'], its DHWC8 of [B,C,D,H,W] [B,D,H,W,C'].

#include <cuda_fp16.h>

namespace {

constexpr int kPlanes = 48;

// Four and eight halves, moved at once. Words, as compilers give each half that they see a register of its own.
struct __align__(8) Four {
    unsigned two[2];
};
struct __align__(16) Eight {
    Four four[2];
};
struct Values {
    float at[4];
};

__device__ __forceinline__ Values numbers(Four x) {
    const float2 low = __half22float2(*reinterpret_cast<__half2*>(&x.two[0]));
    const float2 high = __half22float2(*reinterpret_cast<__half2*>(&x.two[1]));
    return {{low.x, low.y, high.x, high.y}};
}

__device__ __forceinline__ Four halves(Values x) {
    const __half2 low = __floats2half2_rn(x.at[0], x.at[1]), high = __floats2half2_rn(x.at[2], x.at[3]);
    return {{*reinterpret_cast<const unsigned*>(&low), *reinterpret_cast<const unsigned*>(&high)}};
}

// ---------------------------------------------------------------------------------------------------------------------
// Cost volume [B,32,48,H,W]: 8 group correlations, 12 channels of the left and 12 of the shifted right image.
//
// A block makes 32 pixels of a row, all planes, all channels. Of the right row it holds those 32 columns and the 48 to
// their left. Two groups at a time lie in shared memory; 96 threads have 4 pixels x 4 planes of them each.

constexpr int kGroups = 8;
constexpr int kGroupChannels = 28;
constexpr int kFeatures = kGroups * kGroupChannels;
constexpr int kProjected = 12;
constexpr int kProjectedStored = 16;                    // in HWC8
constexpr int kTile = 32;                               // pixels of a block
constexpr int kHeld = kTile + kPlanes + kTile;          // columns: 32 left, 48 + 32 right
constexpr int kRight = kTile + kPlanes;                 // where the right column of the tile's first pixel is
constexpr int kVolumeThreads = 128;
constexpr int kCorrelating = kTile / 4 * kPlanes / 4;   // threads
constexpr int kVolumeChannels = 2 * kProjected + kGroups;
constexpr float kUnitNormEps = 1e-12f;

// Eight pixels, then a gap: neither threads 4 pixels apart nor adjacent ones meet in a bank.
constexpr int kSlots = kTile + kTile / 8;
__device__ __forceinline__ int slot(int pixel) { return pixel + pixel / 8; }

template <bool kFeaturesLast, bool kVolumeLast>
__device__ __forceinline__ void cost_volume(const __half* __restrict__ features, const __half* __restrict__ projected,
                                            __half* __restrict__ volume, int batch, int rows, int columns) {
    __shared__ __align__(16) __half combined[kHeld][kProjected];
    __shared__ __align__(16) __half pair[2][kGroupChannels][kHeld];
    __shared__ float inverse_length[2][kHeld];
    __shared__ __align__(16) __half by_pixel[kVolumeLast ? kPlanes : 1][kSlots][kGroups];
    __shared__ __align__(16) __half by_group[kVolumeLast ? 1 : 2][kPlanes][kTile];

    const int thread = threadIdx.x, row = blockIdx.y, image = blockIdx.z, first = blockIdx.x * kTile;
    const size_t area = size_t(rows) * columns;

    // The column that this thread reads.
    const int read_image = thread < kTile ? image : batch + image;
    const int column = first + (thread < kTile ? thread : thread - kRight);
    const bool inside = thread < kHeld && column >= 0 && column < columns;
    const size_t place = size_t(row) * columns + column;

    if (thread < kHeld) {
        for (int c = 0; c < kProjected; ++c) {
            __half value = __float2half(0.0f);
            if (inside) {
                value = kFeaturesLast ? projected[(read_image * area + place) * kProjectedStored + c]
                                      : projected[(size_t(read_image) * kProjected + c) * area + place];
            }
            combined[thread][c] = value;
        }
    }

#pragma unroll 1
    for (int group = 0; group < kGroups; group += 2) {
        __syncthreads();
        if (thread < kHeld) {
            // Both groups' channels of a place are 112 bytes in a row, 16-byte aligned.
            Eight both[2 * kGroupChannels / 8];
            const __half* from = features + (size_t(read_image) * kFeatures + group * kGroupChannels) * area + place;
            if (kFeaturesLast && inside) {
                from = features + (read_image * area + place) * kFeatures + group * kGroupChannels;
#pragma unroll
                for (int i = 0; i < 2 * kGroupChannels / 8; ++i) both[i] = reinterpret_cast<const Eight*>(from)[i];
            }
#pragma unroll
            for (int g = 0; g < 2; ++g) {
                float squares = 0.0f;
#pragma unroll
                for (int c = 0; c < kGroupChannels; ++c) {
                    __half value = __float2half(0.0f);
                    if (inside) {
                        value = kFeaturesLast ? reinterpret_cast<const __half*>(both)[g * kGroupChannels + c] : *from;
                    }
                    if (!kFeaturesLast) from += area;
                    pair[g][c][thread] = value;
                    squares += __half2float(value) * __half2float(value);
                }
                inverse_length[g][thread] = 1.0f / fmaxf(sqrtf(squares), kUnitNormEps);
            }
        }
        __syncthreads();

        // A quarter of what needs no correlation leaves now, so that writing goes on during the sums. Of a place's 64
        // bytes, channels last, it is the second 32: left 8 to 11, all of right.
        constexpr int kPlain = kPlanes * kTile * (kVolumeLast ? 2 : 2 * kProjected) / 4;
        const int quarter = group / 2;
        if (kVolumeLast) {
#pragma unroll 2
            for (int i = quarter * kPlain + thread; i < (quarter + 1) * kPlain; i += kVolumeThreads) {
                const int half = i % 2, pixel = i / 2 % kTile, plane = i / (2 * kTile);
                if (first + pixel < columns) {
                    const Four* left = reinterpret_cast<const Four*>(combined[pixel]);
                    const Four* right = reinterpret_cast<const Four*>(combined[kRight + pixel - plane]);
                    const Eight value = half == 0 ? Eight{{left[2], right[0]}} : Eight{{right[1], right[2]}};
                    const size_t at = (size_t(image) * kPlanes + plane) * area + size_t(row) * columns + first + pixel;
                    reinterpret_cast<Eight*>(volume + at * kVolumeChannels)[2 + half] = value;
                }
            }
        } else {
#pragma unroll 4
            for (int i = quarter * kPlain + thread; i < (quarter + 1) * kPlain; i += kVolumeThreads) {
                const int pixel = i % kTile, plane = i / kTile % kPlanes, c = i / (kTile * kPlanes);
                if (first + pixel < columns) {
                    const size_t at = (size_t(image) * kVolumeChannels + kGroups + c) * kPlanes + plane;
                    volume[at * area + size_t(row) * columns + first + pixel] =
                        c < kProjected ? combined[pixel][c] : combined[kRight + pixel - plane][c - kProjected];
                }
            }
        }

        if (thread < kCorrelating) {
            const int pixel = thread % (kTile / 4) * 4, plane = thread / (kTile / 4) * 4;
            // Pixel + a and plane + b want the right column behind + 4 + a - b.
            const int behind = kRight + pixel - plane - 4;
            float sum[2][4][4];
#pragma unroll
            for (int g = 0; g < 2; ++g) {
#pragma unroll
                for (int i = 0; i < 16; ++i) sum[g][i / 4][i % 4] = 0.0f;
#pragma unroll 2
                for (int c = 0; c < kGroupChannels; ++c) {
                    const Values left = numbers(*reinterpret_cast<const Four*>(&pair[g][c][pixel]));
                    const Values before = numbers(*reinterpret_cast<const Four*>(&pair[g][c][behind]));
                    const Values after = numbers(*reinterpret_cast<const Four*>(&pair[g][c][behind + 4]));
#pragma unroll
                    for (int a = 0; a < 4; ++a) {
#pragma unroll
                        for (int b = 0; b < 4; ++b) {
                            const float right = a < b ? before.at[4 + a - b] : after.at[a - b];
                            sum[g][a][b] = fmaf(left.at[a], right, sum[g][a][b]);
                        }
                    }
                }
#pragma unroll
                for (int a = 0; a < 4; ++a) {
#pragma unroll
                    for (int b = 0; b < 4; ++b) {
                        sum[g][a][b] *= inverse_length[g][pixel + a] * inverse_length[g][behind + 4 + a - b];
                    }
                }
            }
#pragma unroll
            for (int b = 0; b < 4; ++b) {
                if (kVolumeLast) {
#pragma unroll
                    for (int a = 0; a < 4; ++a) {
                        *reinterpret_cast<__half2*>(&by_pixel[plane + b][slot(pixel + a)][group]) =
                            __floats2half2_rn(sum[0][a][b], sum[1][a][b]);
                    }
                } else {
#pragma unroll
                    for (int g = 0; g < 2; ++g) {
                        *reinterpret_cast<Four*>(&by_group[g][plane + b][pixel]) =
                            halves({{sum[g][0][b], sum[g][1][b], sum[g][2][b], sum[g][3][b]}});
                    }
                }
            }
        }
        if (!kVolumeLast) {
            __syncthreads();
#pragma unroll 2
            for (int i = thread; i < 2 * kPlanes * kTile; i += kVolumeThreads) {
                const int pixel = i % kTile, plane = i / kTile % kPlanes, g = i / (kTile * kPlanes);
                if (first + pixel < columns) {
                    const size_t at = (size_t(image) * kVolumeChannels + group + g) * kPlanes + plane;
                    volume[at * area + size_t(row) * columns + first + pixel] = by_group[g][plane][pixel];
                }
            }
        }
    }

    // Channels last: the first 32 bytes, the correlations and left 0 to 7.
    if (kVolumeLast) {
        __syncthreads();
#pragma unroll 2
        for (int i = thread; i < kPlanes * kTile * 2; i += kVolumeThreads) {
            const int half = i % 2, pixel = i / 2 % kTile, plane = i / (2 * kTile);
            if (first + pixel < columns) {
                const Four* left = reinterpret_cast<const Four*>(combined[pixel]);
                const Eight value = half == 0 ? *reinterpret_cast<const Eight*>(by_pixel[plane][slot(pixel)])
                                              : Eight{{left[0], left[1]}};
                const size_t at = (size_t(image) * kPlanes + plane) * area + size_t(row) * columns + first + pixel;
                reinterpret_cast<Eight*>(volume + at * kVolumeChannels)[half] = value;
            }
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Look-up: nine samples around the disparity, one plane apart, on two levels: planes, and means of planes 2k, 2k + 1.
//
// Eight threads have a pixel: seven have four of the 28 channels of geometry each, the eighth the correlation, whose
// axis is the right column and whose position is the pixel's column less the disparity. They read 20 entries, those of
// the ten means around the position on level 1, and the ten neighbours on level 0 are among them.

constexpr int kTaps = 9;
constexpr int kChannelsStored = 32;                     // 28 of geometry, and a place for the correlation
constexpr int kSamples = 2 * kTaps * kChannelsStored;
constexpr int kEntries = 2 * (kTaps + 1);
constexpr int kPerPixel = 8;                            // threads
constexpr int kLookUpThreads = 128;

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
        const ptrdiff_t step = ptrdiff_t(area) * kChannelsStored, image = pixel / area;
        const __half* from = volume + (image * kPlanes + start) * step + pixel % area * kChannelsStored + 4 * part;
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

// sum += a b on a tensor core, by all threads of a warp: 16 pixels x 16 samples, 16 samples x 8 outputs.
#ifdef __CUDACC__
__device__ __forceinline__ void multiply_add(float (&sum)[4], const unsigned (&a)[4], Four b) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b.two[0]), "r"(b.two[1]));
}
#else
void multiply_add(float (&sum)[4], const unsigned (&a)[4], Four b);
#endif

}  // namespace

// Instances: of features and projection NCHW or HWC8 (features_last), a volume NCDHW or DHWC8 (volume_last).
// Grid (ceil(columns / 32), rows, batch), 128 threads.
#define COST_VOLUME(name, features_last, volume_last)                                                               \
    extern "C" __global__ void __launch_bounds__(kVolumeThreads, 5)                                                 \
        name(const __half* features, const __half* projected, __half* volume, int batch, int rows, int columns) {   \
        cost_volume<features_last, volume_last>(features, projected, volume, batch, rows, columns);                 \
    }
COST_VOLUME(cost_volume_first_first, false, false)
COST_VOLUME(cost_volume_first_last, false, true)
COST_VOLUME(cost_volume_last_first, true, false)
COST_VOLUME(cost_volume_last_last, true, true)

// Samples [B,H,W,576]: channel 32 (9 level + tap) + c; c below 28: geometry, 28: correlation, above: zero. From the
// geometry volume [B,48,H,W,32] (DHWC8 of 28 channels; the other four are not read), the correlation of all pairs
// [B,H,W,W] and the disparity [B,H,W]. Grid ceil(8 * pixels / 128), 128 threads, pixels = batch * rows * columns.
// Whatever the disparity, nothing outside is read; where it is not finite the pixel's samples are NaN.
extern "C" __global__ void __launch_bounds__(kLookUpThreads, 8)
    look_up(const float* disparity, const __half* volume, const __half* pairs, __half* samples, int pixels, int area,
            int columns) {
    const unsigned index = blockIdx.x * kLookUpThreads + threadIdx.x;
    const int pixel = index / kPerPixel, part = index % kPerPixel;
    if (pixel >= pixels) return;
    Four* to = reinterpret_cast<Four*>(samples + size_t(pixel) * kSamples) + part;
    sample(disparity, volume, pairs, pixel, part, area, columns, to);
}

// The look-up and the layer behind it, convc1 with its ReLU: [B,H,W,56], which is HWC8. As look_up, and ``weight``, the
// halves [36][7][32][4]: for 16 of the 576 samples, 8 outputs and a lane what it gives to mma.m16n8k16 as B.
// Grid ceil(pixels / 32), 256 threads. Each of 8 warps has 16 pixels and a quarter of the samples.
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

// A volume [B,28,places] as [B,places,32], zeros behind: for runtimes whose borders take nothing but planes.
// places = planes * rows * columns. Grid (ceil(places / 128), batch), 128 threads.
extern "C" __global__ void __launch_bounds__(128)
    channels_last(const __half* __restrict__ planes, __half* __restrict__ volume, int places) {
    constexpr int kPlaces = 128, kChannels = 28;
    __shared__ __align__(16) Eight tile[kPlaces + kPlaces / 8][kChannelsStored / 8];
    const int thread = threadIdx.x, first = blockIdx.x * kPlaces;
    const size_t image = blockIdx.y;
    if (first + thread < places) {
#pragma unroll
        for (int c = 0; c < kChannelsStored; c += 4) {
            Values four = {{0.0f, 0.0f, 0.0f, 0.0f}};
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                if (c + i < kChannels) {
                    four.at[i] = __half2float(planes[(image * kChannels + c + i) * places + first + thread]);
                }
            }
            tile[slot(thread)][c / 8].four[c / 4 % 2] = halves(four);
        }
    }
    __syncthreads();
    for (int i = thread; i < kPlaces * kChannelsStored / 8; i += kPlaces) {
        const int place = i / (kChannelsStored / 8), eight = i % (kChannelsStored / 8);
        if (first + place < places) {
            const size_t at = (image * places + first + place) * kChannelsStored;
            reinterpret_cast<Eight*>(volume + at)[eight] = tile[slot(place)][eight];
        }
    }
}
