// Function annotations: for host and device, for one instruction set, and for the audio thread.
#pragma once

// Precedes a function that nvcc compiles for both host and device.
#ifdef __CUDACC__
#define AUDIOGEN_HD __host__ __device__
#else
#define AUDIOGEN_HD
#endif

// Name of the instruction set that this translation unit is compiled for; the build sets it for
// kernels. Headers put inline code into `namespace audiogen::<folder>::inline AUDIOGEN_ISA`,
// because the linker keeps only one copy of an inline function, which could be an AVX-512 one.
#ifndef AUDIOGEN_ISA
#define AUDIOGEN_ISA common
#endif

// Marks a function of the audio thread, as in `void process(Block block) noexcept
// AUDIOGEN_REALTIME;`: no allocation, lock, exception, log or system call. Clang 20 and later check
// it at compile time with -Wfunction-effects and at run time with -fsanitize=realtime.
#if defined(__clang__) && __clang_major__ >= 20
#define AUDIOGEN_REALTIME [[clang::nonblocking]]
#else
#define AUDIOGEN_REALTIME
#endif

#define AUDIOGEN_STRING_OF(x) #x
#define AUDIOGEN_STRING(x) AUDIOGEN_STRING_OF(x)
