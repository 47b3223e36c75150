// Fuzzer of states: any bytes, with and without a right checksum, are a state or refused with an
// error message; a state that was read is written and read again unchanged.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "capi/audiogen.h"
#include "capi/state.h"

namespace {

struct Stream {
  std::string bytes;
  std::size_t piece;
  std::size_t at = 0;
};

int64_t read_piece(void* context, void* bytes, size_t n) {
  auto& stream = *static_cast<Stream*>(context);
  n = std::min({n, stream.piece, stream.bytes.size() - stream.at});
  std::memcpy(bytes, stream.bytes.data() + stream.at, n);
  stream.at += n;
  return static_cast<int64_t>(n);
}

int64_t write_piece(void* context, const void* bytes, size_t n) {
  auto& stream = *static_cast<Stream*>(context);
  n = std::min(n, stream.piece);
  stream.bytes.append(static_cast<const char*>(bytes), n);
  return static_cast<int64_t>(n);
}

std::string written(const audiogen_state* state, std::size_t piece) {
  Stream stream{"", piece};
  if (audiogen_state_write(state, write_piece, &stream) != 0) std::abort();
  return stream.bytes;
}

void check(const std::string& bytes, std::size_t piece) {
  Stream stream{bytes, piece};
  audiogen_state* state = audiogen_state_read(read_piece, &stream);
  if (!state) {
    const std::size_t length = std::strlen(audiogen_error());
    if (length == 0 || length > 500) std::abort();
    return;
  }
  Stream once{written(state, piece), 4096};
  audiogen_state* again = audiogen_state_read(read_piece, &once);
  if (!again || written(again, 4096) != once.bytes) std::abort();
  audiogen_state_destroy(again);
  audiogen_state_destroy(state);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const std::size_t piece = 1 + size % 13;
  check(bytes, piece);
  check(audiogen::capi::sealed(bytes + "\n"), piece);
  check(audiogen::capi::sealed("audiogen-state 1\n" + bytes + "\n"), piece);
  return 0;
}
