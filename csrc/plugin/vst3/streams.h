// Callbacks of the C interface for the SDK's streams.
#pragma once

#include <pluginterfaces/base/ibstream.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace audiogen::plugin::vst3 {

inline std::int64_t read_stream(void* stream, void* bytes, std::size_t n) {
  Steinberg::int32 n_read = 0;
  const auto wanted = static_cast<Steinberg::int32>(std::min<std::size_t>(n, 1 << 20));
  static_cast<Steinberg::IBStream*>(stream)->read(bytes, wanted, &n_read);
  return n_read;
}

inline std::int64_t write_stream(void* stream, const void* bytes, std::size_t n) {
  Steinberg::int32 n_written = 0;
  const auto wanted = static_cast<Steinberg::int32>(std::min<std::size_t>(n, 1 << 20));
  static_cast<Steinberg::IBStream*>(stream)->write(const_cast<void*>(bytes), wanted, &n_written);
  return n_written;
}

}  // namespace audiogen::plugin::vst3
