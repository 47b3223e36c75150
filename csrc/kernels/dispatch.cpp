// Detects the CPU's instruction sets and chooses a table of kernels.
#include "kernels/dispatch.h"

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace audiogen::kernels {

namespace baseline {
extern const KernelTable table;
}

#if defined(__x86_64__) || defined(_M_X64)
namespace avx2 {
extern const KernelTable table;
}
namespace avx512 {
extern const KernelTable table;
}
namespace avx512_bf16 {
extern const KernelTable table;
#define AUDIOGEN_DECLARE(Type, name) Type name;
AUDIOGEN_KERNELS(AUDIOGEN_DECLARE)
}  // namespace avx512_bf16
namespace amx {
AUDIOGEN_TILE_KERNELS(AUDIOGEN_DECLARE)
#undef AUDIOGEN_DECLARE
// Shares all other kernels with `avx512_bf16`: their results are the same to the bit.
using namespace avx512_bf16;
static const KernelTable table{"amx",
#define AUDIOGEN_ENTRY(Type, name) name,
                               AUDIOGEN_KERNELS(AUDIOGEN_ENTRY)
#undef AUDIOGEN_ENTRY
};
}  // namespace amx

// Linux provides the tile registers only to processes that request them, and makes the frames of
// their signals larger (Documentation/arch/x86/xstate.rst). A plug-in does not do that to its host
// unless a GANSynth plays in bfloat16 or a SampleRNN in int8.
#if defined(__linux__)
static constexpr long kTileData = 18;  // XTILEDATA

// Whether the CPU has AMX with bfloat16 and int8, and the system provides it on request.
static bool has_amx() {
  constexpr unsigned kBFloat16 = 1u << 22, kTiles = 1u << 24, kInt8 = 1u << 25;  // CPUID 7, EDX
  constexpr unsigned kWanted = kBFloat16 | kTiles | kInt8;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  if ((d & kWanted) != kWanted) return false;
  constexpr long kGetSupported = 0x1021;  // ARCH_GET_XCOMP_SUPP
  std::uint64_t supported = 0;
  return syscall(SYS_arch_prctl, kGetSupported, &supported) == 0 && (supported >> kTileData & 1u);
}

static bool request_tiles() {
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  static const bool granted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return granted;
}
#else
static bool has_amx() { return false; }
static bool request_tiles() { return false; }
#endif
#endif

std::vector<const KernelTable*> available_kernels() {
  std::vector<const KernelTable*> tables{&baseline::table};
#if defined(__x86_64__) || defined(_M_X64)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    tables.push_back(&avx2::table);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
      tables.push_back(&avx512::table);
      if (__builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni")) {
        tables.push_back(&avx512_bf16::table);
        if (has_amx()) tables.push_back(&amx::table);
      }
    }
  }
#endif
  return tables;
}

BFloat16Rows bfloat16_rows([[maybe_unused]] const KernelTable& table) {
#if defined(__x86_64__) || defined(_M_X64)
  const std::string_view isa = table.isa;
  if (isa == "amx" && request_tiles()) return BFloat16Rows::kTiles;
  // Intel's cores perform half as many operations per cycle with VDPBF16PS as with float32 FMAs;
  // the float32 algorithm needs 3 products per output where the one in bfloat16 needs 4.
  if (isa == "avx512_bf16" || isa == "amx") {
    return __builtin_cpu_is("intel") ? BFloat16Rows::kFloat32 : BFloat16Rows::kPairs;
  }
#endif
  return BFloat16Rows::kNone;
}

bool has_byte_tiles([[maybe_unused]] const KernelTable& table) {
#if defined(__x86_64__) || defined(_M_X64)
  return std::string_view(table.isa) == "amx" && request_tiles();
#else
  return false;
#endif
}

static const KernelTable& choose() {
  const auto tables = available_kernels();
  const char* wanted = std::getenv("AUDIOGEN_ISA");
  if (wanted == nullptr || *wanted == '\0') return *tables.back();
  std::string names;
  for (const KernelTable* table : tables) {
    if (std::string_view(table->isa) == wanted) return *table;
    names += (names.empty() ? "" : ", ") + std::string(table->isa);
  }
  throw std::invalid_argument("AUDIOGEN_ISA='" + std::string(wanted) +
                              "' is not supported by this computer; use one of " + names +
                              ", or unset it");
}

const KernelTable& kernels() {
  static const KernelTable& chosen = choose();
  return chosen;
}

}  // namespace audiogen::kernels
