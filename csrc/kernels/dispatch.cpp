// Detects the CPU's instruction sets and chooses a table of kernels.
#include "kernels/dispatch.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

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
}
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
      }
    }
  }
#endif
  return tables;
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
