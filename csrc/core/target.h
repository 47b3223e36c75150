// Marks of functions: for host and device alike, for one instruction set, for the audio thread.
#pragma once

// In front of a function that nvcc compiles for host and device alike.
#ifdef __CUDACC__
#define AUDIOGEN_HD __host__ __device__
#else
#define AUDIOGEN_HD
#endif

// Name of the instruction set that this translation unit is compiled for; the build sets it for
// kernels. Headers with inline code put it into `namespace audiogen::<folder>::inline
// AUDIOGEN_ISA`: the linker keeps one copy of an inline function, and must not pick an AVX-512 one
// for all.
#ifndef AUDIOGEN_ISA
#define AUDIOGEN_ISA common
#endif

// After the parameter list, as `void process(Block block) noexcept AUDIOGEN_REALTIME;`: no
// allocation, lock, exception, log or system call. Clang 20 and later check it, at compile time by
// -Wfunction-effects and at run time by -fsanitize=realtime.
#if defined(__clang__) && __clang_major__ >= 20
#define AUDIOGEN_REALTIME [[clang::nonblocking]]
#else
#define AUDIOGEN_REALTIME
#endif

#define AUDIOGEN_STRING_OF(x) #x
#define AUDIOGEN_STRING(x) AUDIOGEN_STRING_OF(x)
