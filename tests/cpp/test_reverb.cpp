// The reverberation: its energy, decay and end, and that blocks do not matter.
#include "engine/reverb.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "allocation_counter.h"
#include "check.h"

using audiogen::engine::Reverb;

static constexpr double kRate = 32000.0;

using Channels = std::vector<std::vector<float>>;

static void add(Reverb& reverb, Channels& channels, std::size_t from, std::size_t n, float level) {
  std::vector<float*> pointers;
  for (std::vector<float>& channel : channels) pointers.push_back(channel.data() + from);
  reverb.add(pointers.data(), n, level);
}

static Channels impulse(std::size_t n_channels, std::size_t n) {
  Channels channels(n_channels, std::vector<float>(n, 0.0f));
  for (std::vector<float>& channel : channels) channel[0] = 1.0f;
  return channels;
}

static double energy(const std::vector<float>& x, std::size_t from, std::size_t to) {
  double sum = 0.0;
  for (std::size_t i = from; i < to; ++i) sum += static_cast<double>(x[i]) * x[i];
  return sum;
}

static void energy_and_decay() {
  for (std::size_t n_channels : {1u, 2u}) {
    Reverb reverb(kRate, n_channels);
    Channels channels = impulse(n_channels, 64000);
    add(reverb, channels, 0, 64000, 1.0f);
    for (const std::vector<float>& channel : channels) {
      const double wet = energy(channel, 1, channel.size());
      CHECK(wet > 0.2 && wet < 1.0);  // of all frequencies
      // 60 dB in 0.9 s are 33 dB in half a second; high frequencies decay faster.
      const double fall =
          10.0 * std::log10(energy(channel, 3200, 6400) / energy(channel, 19200, 22400));
      CHECK(fall > 30.0 && fall < 45.0);
    }
    if (n_channels == 2) {  // the channels of a centred sound differ
      double product = 0.0;
      for (std::size_t i = 1; i < 64000; ++i) {
        product += static_cast<double>(channels[0][i]) * channels[1][i];
      }
      CHECK(std::abs(product) < 0.3 * energy(channels[0], 1, 64000));
    }
  }
}

static void it_ends() {
  Reverb reverb(kRate, 2);
  CHECK(!reverb.sounding());
  Channels channels = impulse(2, 96000);
  add(reverb, channels, 0, 3200, 0.5f);
  CHECK(reverb.sounding());
  add(reverb, channels, 3200, 92800, 0.0f);
  CHECK(!reverb.sounding());
  const auto last = std::find_if(channels[0].rbegin(), channels[0].rend(),
                                 [](float sample) { return sample != 0.0f; });
  CHECK(std::abs(*last) < 1e-3f);
}

static void blocks_do_not_matter() {
  const std::size_t n = 50000;
  Channels whole = impulse(2, n);
  whole[0][20000] = whole[1][20100] = 0.5f;
  Channels cut = whole;
  Reverb one(kRate, 2), other(kRate, 2);
  add(one, whole, 0, n, 0.7f);
  for (std::size_t from = 0, length = 1; from < n; from += length, length = 1 + length * 7 % 601) {
    length = std::min(length, n - from);
    add(other, cut, from, length, 0.7f);
  }
  CHECK(whole == cut);
}

static void reset_is_fresh() {
  Reverb reverb(kRate, 1), fresh(kRate, 1);
  Channels first = impulse(1, 10000), again = impulse(1, 10000), wanted = impulse(1, 10000);
  add(reverb, first, 0, 10000, 1.0f);
  reverb.reset();
  CHECK(!reverb.sounding());
  add(reverb, again, 0, 10000, 1.0f);
  add(fresh, wanted, 0, 10000, 1.0f);
  CHECK(again == wanted);
}

static void it_allocates_nothing() {
  Reverb reverb(kRate, 2);
  Channels channels = impulse(2, 4000);
  float* pointers[] = {channels[0].data(), channels[1].data()};
  const int before = allocations;
  reverb.add(pointers, 4000, 1.0f);
  reverb.reset();
  CHECK(allocations == before);
}

int main() {
  energy_and_decay();
  it_ends();
  blocks_do_not_matter();
  reset_is_fresh();
  it_allocates_nothing();
  return audiogen::test::finish();
}
