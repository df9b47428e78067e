// What was seen and the hidden state, side by side. Plain-ops twin: ``updated`` of ffs_ros/graph/recurrent.py.

#include "halves.cuh"
#include "gru.cuh"

// Drive [P,104], of which 100 channels count, and hidden state [P,64], of which 60 do, to [P,160]. Grid
// ceil(40 places / 256), 256 threads.
extern "C" __global__ void __launch_bounds__(gru::kThreads)
    gru_input(const Four* __restrict__ drive, const Four* __restrict__ hidden, Four* __restrict__ to, int places) {
    using namespace gru;
    const At at = mine(kJoined);
    if (at.place >= places) return;
    const int of_hidden = at.vector - kDrive;
    to[at.place * kJoined + at.vector] = of_hidden < 0 ? drive[at.place * kDriveStored + at.vector]
                                                       : hidden[at.place * kHiddenStored + of_hidden];
}
