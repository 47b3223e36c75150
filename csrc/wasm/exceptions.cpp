// Exceptions of the module: one that is thrown ends the call from the page, with its message.
//
// Debian's libc++abi for WebAssembly is built without exceptions, so nothing is unwound. No `catch`
// is entered, which would put the path of a file before a message: the page's `fail` throws a
// JavaScript error through the module's frames. Only opening presets, creating synths and adding
// timbres can throw; what the interrupted call had allocated stays allocated.
#include <cstdlib>
#include <exception>
#include <typeinfo>

extern "C" {

// Throws a JavaScript error with the message.
[[noreturn]] __attribute__((import_module("page"), import_name("fail"))) void page_fail(
    const char* message);

void* __cxa_allocate_exception(std::size_t size) noexcept { return std::malloc(size); }

void __cxa_free_exception(void* exception) noexcept { std::free(exception); }

// Every exception of the engine is a std::exception by single inheritance, so the thrown object
// begins with one.
[[noreturn]] void __cxa_throw(void* exception, std::type_info*, void (*)(void*)) {
  page_fail(static_cast<std::exception*>(exception)->what());
}

// Destructors of thread-local objects: the only thread never ends.
int __cxa_thread_atexit(void (*)(void*), void*, void*) noexcept { return 0; }

[[noreturn]] void __cxa_rethrow() { page_fail("an exception was thrown again"); }
}
