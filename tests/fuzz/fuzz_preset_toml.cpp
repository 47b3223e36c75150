// Fuzzer of preset.toml: any bytes are TOML or refused with a FormatError, and any fields make a
// description or messages of bounded length.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/errors.h"
#include "presets/description.h"
#include "presets/toml.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace audiogen::presets;
  try {
    const toml::Table fields = toml::parse({reinterpret_cast<const char*>(data), size});
    Faults faults;
    const auto description = check_fields(fields, faults);
    if (description.has_value() == !faults.empty()) std::abort();
    for (const std::string& fault : faults) {
      if (fault.empty() || fault.size() > 2000) std::abort();
    }
    // What was checked and completed passes again, unchanged.
    if (description) {
      const auto again = check_fields(description->fields, faults);
      if (!again || !(again->fields == description->fields)) std::abort();
      (void)description->weight_shapes();
    }
  } catch (const audiogen::core::FormatError&) {
  }
  return 0;
}
