// The functions of the C interface that create, read, change and write states.
#include <array>
#include <cmath>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "capi/audiogen.h"
#include "capi/guarded.h"
#include "capi/state.h"
#include "core/errors.h"

using namespace audiogen;
using capi::guarded;

struct audiogen_state {
  capi::State values;
};

audiogen_state* audiogen_state_create(void) {
  return guarded<audiogen_state*>(nullptr, [] { return new audiogen_state; });
}

void audiogen_state_destroy(audiogen_state* state) { delete state; }

audiogen_state* audiogen_state_read(audiogen_read read, void* context) {
  return guarded<audiogen_state*>(nullptr, [&] {
    std::string text;
    std::array<char, 4096> piece;
    for (int64_t n; (n = read(context, piece.data(), piece.size())) != 0;) {
      if (n < 0 || n > static_cast<int64_t>(piece.size())) {
        throw core::FormatError("the state could not be read");
      }
      text.append(piece.data(), static_cast<std::size_t>(n));
      if (text.size() > capi::State::kMostBytes) {
        throw core::FormatError("the state has more than " +
                                std::to_string(capi::State::kMostBytes) + " bytes");
      }
    }
    return new audiogen_state{capi::parse_state(text)};
  });
}

int audiogen_state_write(const audiogen_state* state, audiogen_write write, void* context) {
  return guarded(-1, [&] {
    const std::string text = capi::to_text(state->values);
    for (std::size_t done = 0; done < text.size();) {
      const std::size_t left = text.size() - done;
      const int64_t n = write(context, text.data() + done, left);
      if (n <= 0 || n > static_cast<int64_t>(left)) {
        throw std::runtime_error("the state could not be written");
      }
      done += static_cast<std::size_t>(n);
    }
    return 0;
  });
}

const char* audiogen_state_preset(const audiogen_state* state) {
  return state->values.preset.c_str();
}

const char* audiogen_state_hash(const audiogen_state* state) { return state->values.hash.c_str(); }

int audiogen_state_set_preset(audiogen_state* state, const char* name, const char* hash) {
  return guarded(-1, [&] {
    std::string preset = name ? name : "", content = hash ? hash : "";
    if (!preset.empty()) capi::check_name("preset", preset, true);
    if (!content.empty()) capi::check_name("hash", content, true);
    state->values.preset = std::move(preset);
    state->values.hash = std::move(content);
    return 0;
  });
}

uint64_t audiogen_state_seed(const audiogen_state* state) { return state->values.seed; }

void audiogen_state_set_seed(audiogen_state* state, uint64_t seed) { state->values.seed = seed; }

const char* audiogen_state_timbre(const audiogen_state* state) {
  return state->values.timbre.c_str();
}

int audiogen_state_set_timbre(audiogen_state* state, const char* name) {
  return guarded(-1, [&] {
    std::string timbre = name ? name : "";
    if (!timbre.empty()) capi::check_name("timbre", timbre, true);
    state->values.timbre = std::move(timbre);
    return 0;
  });
}

size_t audiogen_state_n_latent(const audiogen_state* state) { return state->values.latent.size(); }

const float* audiogen_state_latent(const audiogen_state* state) {
  return state->values.latent.data();
}

int audiogen_state_set_latent(audiogen_state* state, const float* z, size_t n) {
  return guarded(-1, [&] {
    if (n > 0 && !z) throw std::invalid_argument("z must not be NULL");
    if (n > capi::State::kMostLatent) {
      throw std::invalid_argument("a latent of " + std::to_string(n) + " numbers must have " +
                                  std::to_string(capi::State::kMostLatent) + " at most");
    }
    for (size_t i = 0; i < n; ++i) {
      if (!std::isfinite(z[i])) throw std::invalid_argument("the latent's numbers must be finite");
    }
    state->values.latent.assign(z, z + n);
    return 0;
  });
}

int audiogen_state_parameter(const audiogen_state* state, const char* name, float* value) {
  const auto& parameters = state->values.parameters;
  const auto entry = parameters.find(name);
  if (entry == parameters.end()) return 0;
  *value = entry->second;
  return 1;
}

int audiogen_state_set_parameter(audiogen_state* state, const char* name, float value) {
  return guarded(-1, [&] {
    if (!name) throw std::invalid_argument("name must not be NULL");
    capi::check_name("parameter", name, false);
    if (!std::isfinite(value)) {
      throw std::invalid_argument(std::string(name) + "=" + std::to_string(value) +
                                  " must be finite");
    }
    auto& parameters = state->values.parameters;
    if (!parameters.contains(name) && parameters.size() == capi::State::kMostParameters) {
      throw std::invalid_argument("a state has " + std::to_string(capi::State::kMostParameters) +
                                  " parameters at most");
    }
    parameters[name] = value;
    return 0;
  });
}
