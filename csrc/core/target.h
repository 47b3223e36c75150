// Marks that let one formula serve the host, every instruction set of it, and CUDA devices.
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

#define AUDIOGEN_STRING_OF(x) #x
#define AUDIOGEN_STRING(x) AUDIOGEN_STRING_OF(x)
