// The hidden state times the reset gate, and what was seen. Plain-ops twin: ``gated_unit`` of ffs_ros/graph/recurrent.py.

#include "halves.cuh"
#include "gru.cuh"

// Gates [P,120], 60 for the update and 60 for the reset, and [P,160] as gru_input makes it, to [P,160]: first the products.
// Grid ceil(40 places / 256), 256 threads.
extern "C" __global__ void __launch_bounds__(gru::kThreads)
    gru_reset(const Four* __restrict__ gates, const Four* __restrict__ joined, Four* __restrict__ to, int places) {
    using namespace gru;
    const At at = mine(kJoined);
    if (at.place >= places) return;
    const Four* given = joined + at.place * kJoined;
    Four result;
    if (at.vector < kHidden) {
        const Values reset = numbers(gates[at.place * kGates + kHidden + at.vector]);
        Values hidden = numbers(given[kDrive + at.vector]);
#pragma unroll
        for (int i = 0; i < 4; ++i) hidden.at[i] *= reset.at[i];
        result = halves(hidden);
    } else {
        result = given[at.vector - kHidden];
    }
    to[at.place * kJoined + at.vector] = result;
}
