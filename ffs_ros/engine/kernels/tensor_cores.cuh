// Products of small matrices by all threads of a warp, and how their operands get there. All threads of a warp call each of
// these together. The stand-ins that run on a CPU are in test/kernels_on_cpu/driver.cpp.

#pragma once

namespace {

// sum += a b on a tensor core: 16 x 16 by 16 x 8, in the layouts of PTX's mma.m16n8k16; or 16 x 8 by 8 x 8, mma.m16n8k8.
#ifdef __CUDACC__
__device__ __forceinline__ void multiply_add(float (&sum)[4], const unsigned (&a)[4], Four b) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b.two[0]), "r"(b.two[1]));
}
__device__ __forceinline__ void multiply_add(float (&sum)[4], const unsigned (&a)[2], unsigned b) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(b));
}
#else
void multiply_add(float (&sum)[4], const unsigned (&a)[4], Four b);
void multiply_add(float (&sum)[4], const unsigned (&a)[2], unsigned b);
#endif

}  // namespace
