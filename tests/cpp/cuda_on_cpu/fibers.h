// Fibers: stacks that one thread of the host switches between, known to the sanitizers.
#pragma once

#include <cstddef>

namespace audiogen::cuda_on_cpu {

// What is left of a stack while another one runs.
struct Context {
  void* stack_pointer = nullptr;
  void* bottom = nullptr;  // lowest address of the stack
  std::size_t size = 0;
  void* fake_stack = nullptr;  // of AddressSanitizer
  void* tsan_fiber = nullptr;  // of ThreadSanitizer
};

// Describes the host's own stack.
Context host_context();

// Allocates a stack for `main`, which must never return; there is a guard page below.
Context make_context(void (*main)());

// Saves this stack as `from` and goes on with `to`, without an order between them for
// ThreadSanitizer.
void switch_context(Context& from, Context& to);

// Must be called first on a stack that is switched to for the first time.
void entered(Context& self, Context& from);

// Orders for ThreadSanitizer: what precedes `release` of an address precedes what follows
// `acquire`.
void release(void* address);
void acquire(void* address);

}  // namespace audiogen::cuda_on_cpu
