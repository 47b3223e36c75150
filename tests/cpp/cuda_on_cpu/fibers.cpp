// Switches stacks: in assembly on x86-64, with ucontext elsewhere.
#include "cuda_on_cpu/fibers.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__)
#define AUDIOGEN_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define AUDIOGEN_ASAN 1
#endif
#endif
#ifdef AUDIOGEN_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

// The build defines AUDIOGEN_TSAN under ThreadSanitizer, which this file is not compiled with.
#ifdef AUDIOGEN_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#ifdef __x86_64__
// Saves the registers that a call preserves (System V ABI), and restores those of another stack.
extern "C" void audiogen_switch_stack(void** save_to, void* go_to);
asm(R"(
.text
.type audiogen_switch_stack,@function
audiogen_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size audiogen_switch_stack,.-audiogen_switch_stack
)");
#else
#include <ucontext.h>
#endif

namespace audiogen::cuda_on_cpu {
namespace {

constexpr std::size_t kStackBytes = std::size_t{1} << 18;

#ifdef __x86_64__
void initialise(Context& context, void (*main)()) {
  // Seven words: six registers, then the address that `ret` goes to, which leaves the stack as
  // after a call.
  auto* const top = static_cast<std::uintptr_t*>(context.bottom) + context.size / sizeof(void*);
  std::uintptr_t* at = top - 1;
  *--at = reinterpret_cast<std::uintptr_t>(main);
  for (int i = 0; i < 6; ++i) *--at = 0;
  context.stack_pointer = at;
}
void switch_stack(Context& from, Context& to) {
  audiogen_switch_stack(&from.stack_pointer, to.stack_pointer);
}
#else
void initialise(Context& context, void (*main)()) {
  auto* const saved = new ucontext_t;
  getcontext(saved);
  saved->uc_stack = {.ss_sp = context.bottom, .ss_flags = 0, .ss_size = context.size};
  saved->uc_link = nullptr;
  makecontext(saved, main, 0);
  context.stack_pointer = saved;
}
void switch_stack(Context& from, Context& to) {
  if (from.stack_pointer == nullptr) from.stack_pointer = new ucontext_t;
  swapcontext(static_cast<ucontext_t*>(from.stack_pointer),
              static_cast<ucontext_t*>(to.stack_pointer));
}
#endif

}  // namespace

Context host_context() {
  Context context;
  pthread_attr_t attributes;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &context.bottom, &context.size);
  pthread_attr_destroy(&attributes);
#ifdef AUDIOGEN_TSAN
  context.tsan_fiber = __tsan_get_current_fiber();
#endif
  return context;
}

Context make_context(void (*main)()) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* const memory = mmap(nullptr, kStackBytes + page, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, page, PROT_NONE) != 0) {
    std::perror("stack of a fiber");
    std::abort();
  }
  Context context;
  context.bottom = static_cast<char*>(memory) + page;
  context.size = kStackBytes;
#ifdef AUDIOGEN_TSAN
  context.tsan_fiber = __tsan_create_fiber(0);
#endif
  initialise(context, main);
  return context;
}

void entered([[maybe_unused]] Context& self, [[maybe_unused]] Context& from) {
#ifdef AUDIOGEN_ASAN
  const void* bottom;
  std::size_t size;
  __sanitizer_finish_switch_fiber(self.fake_stack, &bottom, &size);
#endif
}

void switch_context(Context& from, Context& to) {
#ifdef AUDIOGEN_ASAN
  __sanitizer_start_switch_fiber(&from.fake_stack, to.bottom, to.size);
#endif
#ifdef AUDIOGEN_TSAN
  __tsan_switch_to_fiber(to.tsan_fiber, __tsan_switch_to_fiber_no_sync);
#endif
  switch_stack(from, to);
  entered(from, to);
}

void release([[maybe_unused]] void* address) {
#ifdef AUDIOGEN_TSAN
  __tsan_release(address);
#endif
}

void acquire([[maybe_unused]] void* address) {
#ifdef AUDIOGEN_TSAN
  __tsan_acquire(address);
#endif
}

}  // namespace audiogen::cuda_on_cpu
