// A CUDA driver without a GPU, to try the kernels and those who call them. Device memory is
// pages of this process between pages that nobody may touch: a read or write behind a buffer, or with BEFORE=1 in front
// of it, ends the process. A launch runs the kernel of that name; BACKWARDS=1 runs blocks and threads in reverse order.
#include <sys/mman.h>
#include <ucontext.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "cuda_fp16.h"

dim3 threadIdx, blockIdx, blockDim, gridDim;

#include "all_pairs.cu"
#include "channel_sums.cu"
#include "convex_upsampling.cu"
#include "cost_volume.cu"
#include "disparity_features.cu"
#include "disparity_step.cu"
#include "first_disparity.cu"
#include "four_times_finer.cu"
#include "gru_input.cu"
#include "gru_output.cu"
#include "gru_reset.cu"
#include "head_attention.cu"
#include "instance_norm.cu"
#include "instance_norm_add.cu"
#include "instance_norm_join.cu"
#include "join_leaky.cu"
#include "look_up_convc1.cu"
#include "volume_convolution.cu"
#include "volume_convolution_add.cu"
#include "volume_convolution_gated.cu"
#include "wide_block.cu"

namespace {

// The state of a fiber that does not run. ucontext's changes ask the system each time, which takes most of the time of a
// kernel that multiplies matrices; where the processor is known, registers and stack do.
#ifdef __x86_64__
using Context = void*;
asm(".pushsection .text\n"
    "change_fiber:\n"
    "push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
    "mov %rsp, (%rdi)\n mov (%rsi), %rsp\n"
    "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n"
    "ret\n"
    ".popsection\n");
extern "C" void change_fiber(Context* from, Context* to);
void change(Context* from, Context* to) { change_fiber(from, to); }
void prepare(Context* fiber, std::vector<char>& stack, void (*start)()) {
    const uintptr_t top = (reinterpret_cast<uintptr_t>(stack.data()) + stack.size()) & ~uintptr_t(15);
    void** place = reinterpret_cast<void**>(top) - 8;  // six registers, where to go, and nobody to return to
    for (int i = 0; i < 8; ++i) place[i] = nullptr;
    place[6] = reinterpret_cast<void*>(start);
    *fiber = place;
}
#else
using Context = ucontext_t;
void change(Context* from, Context* to) { swapcontext(from, to); }
void prepare(Context* fiber, std::vector<char>& stack, void (*start)()) {
    getcontext(fiber);
    fiber->uc_stack.ss_sp = stack.data();
    fiber->uc_stack.ss_size = stack.size();
    makecontext(fiber, start, 0);
}
#endif

const bool backwards = getenv("BACKWARDS"), guard_before = getenv("BEFORE");
const std::function<void()>* body;
Context scheduler;

struct Fiber {
    Context context;
    std::vector<char> stack = std::vector<char>(32 << 10);
    bool done = true;
};
std::vector<Fiber> fibers(1024);
Fiber* running;

void start() {
    (*body)();
    running->done = true;
    change(&running->context, &scheduler);
}

void run(const std::function<void()>& kernel, dim3 grid, dim3 block) {
    body = &kernel;
    gridDim = grid, blockDim = block;
    const unsigned blocks = grid.x * grid.y * grid.z, threads = block.x;
    for (unsigned n = 0; n < blocks; ++n) {
        const unsigned at = backwards ? blocks - 1 - n : n;
        blockIdx = {at % grid.x, at / grid.x % grid.y, at / grid.x / grid.y};
        for (unsigned t = 0; t < threads; ++t) {
            prepare(&fibers[t].context, fibers[t].stack, start);
            fibers[t].done = false;
        }
        for (bool more = true; more;) {
            more = false;
            for (unsigned i = 0; i < threads; ++i) {
                const unsigned t = backwards ? threads - 1 - i : i;
                if (fibers[t].done) continue;
                threadIdx.x = t;
                running = &fibers[t];
                change(&scheduler, &running->context);
                more |= !running->done;
            }
        }
    }
}

template <class... A, size_t... I>
std::function<void()> bound(void (*kernel)(A...), void** given, std::index_sequence<I...>) {
    std::tuple<A...> values{*static_cast<A*>(given[I])...};
    return [=] { std::apply(kernel, values); };
}
template <class... A>
std::function<std::function<void()>(void**)> binder(void (*kernel)(A...)) {
    return [=](void** given) { return bound(kernel, given, std::index_sequence_for<A...>{}); };
}

struct Kernel {
    std::function<std::function<void()>(void**)> bind;
};
std::map<std::string, Kernel> kernels = {
#define KERNEL(name) {#name, {binder(name)}}
    KERNEL(all_pairs),
    KERNEL(channel_sums),
    KERNEL(convex_upsampling),
    KERNEL(cost_volume),
    KERNEL(disparity_features),
    KERNEL(disparity_step),
    KERNEL(first_disparity),
    KERNEL(four_times_finer),
    KERNEL(gru_input),
    KERNEL(gru_output),
    KERNEL(gru_reset),
    KERNEL(head_attention),
    KERNEL(instance_norm),
    KERNEL(instance_norm_add),
    KERNEL(instance_norm_join),
    KERNEL(join_leaky),
    KERNEL(look_up_convc1),
    KERNEL(volume_convolution),
    KERNEL(volume_convolution_add),
    KERNEL(volume_convolution_gated),
    KERNEL(wide_block),
};

struct Span {
    char* pages;
    size_t nbytes;
};
std::map<uint64_t, Span> memory;
constexpr size_t page = 4096;
std::vector<std::function<void()>> recorded;
bool recording = false;

}  // namespace

namespace {
// Every thread of a block must come here equally often.
void multiply_add(float (&sum)[4], const unsigned (&a)[4], Four b) {
    struct Given {
        float a[8], b[4];
    };
    static Given given[32][32];
    Given* warp = given[threadIdx.x / 32];
    const int lane = threadIdx.x % 32;
    for (int i = 0; i < 8; ++i) warp[lane].a[i] = __half2float(reinterpret_cast<const __half*>(a)[i]);
    for (int i = 0; i < 4; ++i) warp[lane].b[i] = __half2float(reinterpret_cast<const __half*>(&b)[i]);
    __syncthreads();
    float added[4] = {};
    for (int i = 0; i < 4; ++i) {
        const int row = lane / 4 + i / 2 * 8, output = lane % 4 * 2 + i % 2;
        for (int k = 0; k < 16; ++k) {
            const Given& with_a = warp[row % 8 * 4 + k % 8 / 2];
            const Given& with_b = warp[output * 4 + k % 8 / 2];
            added[i] += with_a.a[(k / 8 * 2 + row / 8) * 2 + k % 2] * with_b.b[k / 8 * 2 + k % 2];
        }
    }
    __syncthreads();
    for (int i = 0; i < 4; ++i) sum[i] += added[i];
}
void multiply_add(float (&sum)[4], const unsigned (&a)[2], unsigned b) {
    multiply_add(sum, {a[0], a[1], 0, 0}, {{b, 0}});
}

// Likewise.
void load_matrices(unsigned (&a)[4], const void* row, bool transposed) {
    static const __half* given[32][32];
    const __half** warp = given[threadIdx.x / 32];
    const int lane = threadIdx.x % 32;
    warp[lane] = static_cast<const __half*>(row);
    __syncthreads();
    for (int i = 0; i < 8; ++i) {
        const int line = lane / 4, at = lane % 4 * 2 + i % 2;
        const __half** rows = warp + i / 2 * 8;
        memcpy(reinterpret_cast<char*>(a) + 2 * i, transposed ? rows[at] + line : rows[line] + at, 2);
    }
    __syncthreads();
}
void load_matrix(unsigned (&a)[4], const void* row) { load_matrices(a, row, false); }
void load_transposed(unsigned (&a)[4], const void* row) { load_matrices(a, row, true); }
}  // namespace

void __syncthreads() { change(&running->context, &scheduler); }

extern "C" {
int cuInit(unsigned) { return 0; }
int cuDeviceGet(int* device, int) { return *device = 0; }
int cuDeviceGetName(char* name, int, int) { return strcpy(name, "no GPU: a stand-in on the CPU"), 0; }
int cuDeviceGetAttribute(int* value, int, int) { return *value = 0; }
int cuDevicePrimaryCtxRetain(void** context, int) { return *context = nullptr, 0; }
int cuCtxSetCurrent(void*) { return 0; }
int cuCtxSynchronize() { return 0; }
int cuModuleLoadDataEx(void**, const void* ptx, unsigned, int*, void**) {
    return strncmp(static_cast<const char*>(ptx), "// From ", 8) ? 218 : 0;
}
int cuModuleUnload(void*) { return 0; }
int cuModuleGetFunction(void** function, void*, const char* name) {
    const auto found = kernels.find(name);
    if (found == kernels.end()) return 500;
    *function = &found->second;
    return 0;
}
int cuFuncGetAttribute(int* value, int, void*) { return *value = 0; }
int cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void*, int, size_t) { return *blocks = 0; }
int cuMemAlloc_v2(uint64_t* address, size_t nbytes) {
    const size_t inner = (nbytes + page - 1) / page * page;
    char* pages = static_cast<char*>(mmap(nullptr, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(pages + page, inner, PROT_READ | PROT_WRITE);
    memset(pages + page, 0xff, inner);
    *address = reinterpret_cast<uint64_t>(pages + page) + (guard_before ? 0 : (inner - nbytes) / 16 * 16);
    memory[*address] = {pages, inner + 2 * page};
    return 0;
}
int cuMemFree_v2(uint64_t address) {
    munmap(memory.at(address).pages, memory.at(address).nbytes);
    memory.erase(address);
    return 0;
}
int cuMemcpyHtoD_v2(uint64_t to, const void* from, size_t nbytes) {
    memcpy(reinterpret_cast<void*>(to), from, nbytes);
    return 0;
}
int cuMemcpyDtoH_v2(void* to, uint64_t from, size_t nbytes) {
    memcpy(to, reinterpret_cast<void*>(from), nbytes);
    return 0;
}
int cuMemsetD8_v2(uint64_t at, unsigned char value, size_t nbytes) {
    memset(reinterpret_cast<void*>(at), value, nbytes);
    return 0;
}
int cuMemsetD8Async(uint64_t, unsigned char, size_t, void*) { return 0; }
int cuLaunchKernel(void* kernel, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned,
                   void*, void** given, void**) {
    const auto call = static_cast<Kernel*>(kernel)->bind(given);
    const auto launch = [=] { run(call, {gx, gy, gz}, {bx, by, bz}); };
    if (recording) {
        recorded.push_back(launch);
    } else {
        launch();
    }
    return 0;
}
int cuStreamCreate(void** stream, unsigned) { return *stream = nullptr, 0; }
int cuStreamSynchronize(void*) { return 0; }
int cuStreamBeginCapture_v2(void*, int) {
    recorded.clear();
    recording = true;
    return 0;
}
int cuStreamEndCapture(void*, void** graph) {
    recording = false;
    *graph = &recorded;
    return 0;
}
int cuGraphInstantiateWithFlags(void** executable, void* graph, unsigned long long) { return *executable = graph, 0; }
int cuGraphLaunch(void* executable, void*) {
    for (const auto& launch : *static_cast<std::vector<std::function<void()>>*>(executable)) launch();
    return 0;
}
int cuGraphExecDestroy(void*) { return 0; }
int cuGraphDestroy(void*) { return 0; }
int cuEventCreate(void** event, unsigned) { return *event = new std::chrono::steady_clock::time_point, 0; }
int cuEventRecord(void* event, void*) {
    *static_cast<std::chrono::steady_clock::time_point*>(event) = std::chrono::steady_clock::now();
    return 0;
}
int cuEventSynchronize(void*) { return 0; }
int cuEventElapsedTime(float* ms, void* begin, void* end) {
    using Time = std::chrono::steady_clock::time_point;
    *ms = std::chrono::duration<float, std::milli>(*static_cast<Time*>(end) - *static_cast<Time*>(begin)).count();
    return 0;
}
int cuGetErrorString(int, const char** text) { return *text = "refused by the stand-in", 0; }
}
