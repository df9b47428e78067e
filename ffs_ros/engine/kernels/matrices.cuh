// Operands of tensor cores in shared memory: how a copy gets there while a warp computes, and how a warp reads them. The
// stand-ins that run on a CPU are in test/kernels_on_cpu/driver.cpp.

#pragma once

namespace {

// The left operand of a product, 16 x 16: ``row`` is where 8 halves begin in shared memory, for lanes 0 to 15 the first
// half of rows 0 to 15, for lanes 16 to 31 the second.
#ifdef __CUDACC__
__device__ __forceinline__ void load_matrix(unsigned (&a)[4], const void* row) {
    const unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3])
                 : "r"(at)
                 : "memory");
}
// Four matrices of 8 x 8 that lie the other way round, of which lanes 8 i to 8 i + 7 say where the eight rows of the i-th
// begin: an operand's rows are their columns. As the left one it is (upper, first), (lower, first), (upper, second) and
// (lower, second); as the right one the halves of one operand and those of the next.
__device__ __forceinline__ void load_transposed(unsigned (&a)[4], const void* row) {
    const unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3])
                 : "r"(at)
                 : "memory");
}
#else
void load_matrix(unsigned (&a)[4], const void* row);
void load_transposed(unsigned (&a)[4], const void* row);
#endif

// Begins to copy eight halves into shared memory, or zeros where there is nothing to copy (``from`` is an address that may
// be read all the same). For this thread they are there after ``copied``, for others after a barrier behind it. ``mark``
// ends a group of copies; after ``copied_before_mark`` all groups are there but the last.
#ifdef __CUDACC__
__device__ __forceinline__ void copy(Eight* to, const Eight* from, bool there) {
    const unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(to));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from), "r"(there ? 16 : 0) : "memory");
}
__device__ __forceinline__ void copied() { asm volatile("cp.async.wait_all;" ::: "memory"); }
__device__ __forceinline__ void mark() { asm volatile("cp.async.commit_group;" ::: "memory"); }
__device__ __forceinline__ void copied_before_mark() { asm volatile("cp.async.wait_group 1;" ::: "memory"); }
#else
inline void copy(Eight* to, const Eight* from, bool there) { *to = there ? *from : Eight{}; }
inline void copied() {}
inline void mark() {}
inline void copied_before_mark() {}
#endif

}  // namespace
