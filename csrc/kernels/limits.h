// Limits of a kernel on this core: products without memory access, and reads without products. The
// benchmark prints them beside a kernel's time.
#pragma once

#include <cstddef>

#include "core/target.h"

namespace audiogen::kernels {

// Run `n` rounds of independent multiply-adds in registers, as the kernels of the instruction set
// do them, and return the number of operations, two per multiply-add; 0 if the set has no such
// instruction.
using PeakFloat32 = double(std::size_t n);
using PeakBFloat16 = double(std::size_t n);  // products of pairs
using PeakInt8 = double(std::size_t n);
using PeakTiles = double(std::size_t n);  // products of tiles in bfloat16
using PeakByteTiles = double(std::size_t n);

// Reads floats, in order, and returns their sum.
using ReadFloats = double(const float* x, std::size_t n);

}  // namespace audiogen::kernels
