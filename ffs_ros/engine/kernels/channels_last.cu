// The geometry volume as the look-up reads it, channels last.

#include "halves.cuh"

// A volume [B,28,places] as [B,places,32], zeros behind.
// places = planes * rows * columns. Grid (ceil(places / 128), batch), 128 threads.
extern "C" __global__ void __launch_bounds__(128)
    channels_last(const __half* __restrict__ planes, __half* __restrict__ volume, int places) {
    constexpr int kPlaces = 128, kChannels = 28;
    __shared__ __align__(16) Eight tile[kPlaces + kPlaces / 8][kStored / 8];
    const int thread = threadIdx.x, first = blockIdx.x * kPlaces;
    const size_t image = blockIdx.y;
    if (first + thread < places) {
#pragma unroll
        for (int c = 0; c < kStored; c += 4) {
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
    for (int i = thread; i < kPlaces * kStored / 8; i += kPlaces) {
        const int place = i / (kStored / 8), eight = i % (kStored / 8);
        if (first + place < places) {
            const size_t at = (image * places + first + place) * kStored;
            reinterpret_cast<Eight*>(volume + at)[eight] = tile[slot(place)][eight];
        }
    }
}
