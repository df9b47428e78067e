// Mean and sum of squared deviations of many values, of parts of them: Chan, Golub and LeVeque, "Updating formulae and a
// pairwise algorithm for computing sample variances", 1979. Nothing large is taken from something large.
//
// Pictures lie channels last, [N,H,W,C8], C8 being C filled up to a multiple of 8, and are cut into chunks of places, the
// last one shorter.

#pragma once

namespace {

constexpr int kAtOnce = 8;  // channels of one load

struct Statistics {
    float mean, squares;
};

// Of ``a`` and ``b`` together. ``share``: of b's values in both; ``weight``: a's number times share.
__device__ __forceinline__ Statistics merged(Statistics a, Statistics b, float share, float weight) {
    const float apart = b.mean - a.mean;
    return {fmaf(apart, share, a.mean), fmaf(apart * apart, weight, a.squares + b.squares)};
}

__device__ __forceinline__ float share_of(int more, int all) { return all > 0 ? float(more) / float(all) : 0.0f; }

__device__ __forceinline__ int smaller(int a, int b) { return a < b ? a : b; }

struct Loaded {
    float at[kAtOnce];
};

__device__ __forceinline__ Loaded loaded(const Eight* from) {
    const Eight both = *from;
    const Values low = numbers(both.four[0]), high = numbers(both.four[1]);
    return {{low.at[0], low.at[1], low.at[2], low.at[3], high.at[0], high.at[1], high.at[2], high.at[3]}};
}

}  // namespace
