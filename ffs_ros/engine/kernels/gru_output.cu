// The next hidden state: of two GRUs the candidates, let in by the update gates, and their mean by the attention. Plain-ops
// twins: ``gated_unit`` and ``updated`` of ffs_ros/graph/recurrent.py.

#include "halves.cuh"
#include "gru.cuh"

namespace {

__device__ __forceinline__ float next(float hidden, float update, float candidate) {
    return fmaf(update, candidate - hidden, hidden);
}

}  // namespace

// Of the GRU with small kernels and of the one with large ones gates [P,120], of which the update's 60 are read, and
// candidates [P,64], of which 60 count; the hidden state [P,64] likewise, and the attention [P], the weight of the small
// ones, to [P,64]. Grid ceil(16 places / 256), 256 threads.
extern "C" __global__ void __launch_bounds__(gru::kThreads)
    gru_output(const Four* __restrict__ small_gates, const Four* __restrict__ small_candidates,
               const Four* __restrict__ large_gates, const Four* __restrict__ large_candidates,
               const Four* __restrict__ hidden, const __half* __restrict__ attention, Four* __restrict__ to, int places) {
    using namespace gru;
    const At at = mine(kHiddenStored);
    if (at.place >= places) return;
    const int stored = at.place * kHiddenStored + at.vector, gate = at.place * kGates + at.vector;
    Four result = {};
    if (at.vector < kHidden) {
        const float weight = __half2float(attention[at.place]);
        const Values before = numbers(hidden[stored]);
        const Values small_update = numbers(small_gates[gate]), small_candidate = numbers(small_candidates[stored]);
        const Values large_update = numbers(large_gates[gate]), large_candidate = numbers(large_candidates[stored]);
        Values after;
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const float of_small = next(before.at[i], small_update.at[i], small_candidate.at[i]);
            const float of_large = next(before.at[i], large_update.at[i], large_candidate.at[i]);
            after.at[i] = fmaf(weight, of_small - of_large, of_large);
        }
        result = halves(after);
    }
    to[stored] = result;
}
