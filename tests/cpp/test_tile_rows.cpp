// Layers on tiles equal their definition, emulated and by AMX, and both are the same to the bit.
#include "kernels/networks/tiles/tile_rows.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <string_view>
#include <vector>

#include "check.h"
#include "conv_layer.h"
#include "core/aligned_floats.h"
#include "core/math.h"
#include "kernels/dispatch.h"

using namespace audiogen::kernels;
using audiogen::core::AlignedFloats;
using audiogen::test::Layer;

namespace {

// An image [C, T, F] in rows of bfloat16, with a row of zeros beyond its ends.
struct TileImage {
  std::size_t channels, n_frames, n_bins;
  AlignedFloats floats;
  TileImage(std::size_t c, std::size_t t, std::size_t f)
      : channels(c), n_frames(t), n_bins(f), floats((t + 1) * tile_row_floats(c, f)) {}
  float* row(std::size_t t) {
    return floats.data() + std::min(t, n_frames) * tile_row_floats(channels, n_bins) +
           kTileRowGuard;
  }
  std::uint16_t& at(std::size_t c, std::size_t t, std::size_t f) {
    return reinterpret_cast<std::uint16_t*>(
        row(t))[c / kTilePlane * tile_plane_numbers(n_bins) + f * kTilePlane + c % kTilePlane];
  }
  float value(std::size_t c, std::size_t t, std::size_t f) {
    return __builtin_bit_cast(float, static_cast<std::uint32_t>(at(c, t, f)) << 16);
  }
};

// Makes numbers multiples of `unit`, few enough for products and sums of taps without rounding.
float coarse(float x, float unit) { return std::clamp(std::round(x / unit), -8.0f, 8.0f) * unit; }

void make_coarse(Layer& layer) {
  float largest = 0.0f;
  for (const float w : layer.weight) largest = std::max(largest, std::abs(w));
  for (float& w : layer.weight) w = coarse(w, std::exp2(std::floor(std::log2(largest))) / 8);
  for (std::size_t t = 0; t < layer.x.n_frames; ++t) {
    for (std::size_t f = 0; f < layer.x.n_bins; ++f) {
      for (std::size_t c = 0; c < layer.x.channels; ++c) {
        layer.x.at(c, t, f) = coarse(layer.x.at(c, t, f), 0.25f);
      }
    }
  }
}

TileImage run(const KernelTable& table, Layer& layer) {
  const ConvShape& shape = layer.shape;
  TileImage x(shape.in_channels, layer.x.n_frames, shape.n_bins);
  for (std::size_t t = 0; t < x.n_frames; ++t) {
    for (std::size_t f = 0; f < x.n_bins; ++f) {
      for (std::size_t c = 0; c < x.channels; ++c) {
        const std::uint32_t word = audiogen::core::bfloat16_word(layer.x.at(c, t, f));
        x.at(c, t, f) = static_cast<std::uint16_t>(word >> 16);
      }
    }
  }
  AlignedFloats packed(tile_packed_floats(shape)), workspace(tile_workspace_floats(shape));
  table.pack_tile_conv(shape, layer.weight.data(), packed.data());
  TileImage y(shape.out_channels, layer.n_frames, layer.out_bins());
  for (std::size_t t = 0; t < layer.n_frames; ++t) {
    ConvRowCall call{};
    for (std::size_t i = 0; i < 3; ++i) call.rows[i] = x.row((t >> shape.upsample) + i - 1);
    call.odd = t & 1;
    call.workspace = workspace.data();
    call.out = y.row(t);
    call.epilogue.bias = layer.bias.data();
    if (layer.conditioned) {
      call.epilogue.field = layer.field.data();
      call.epilogue.noise = layer.noise.data();
      call.epilogue.strength = layer.strength.data();
      call.epilogue.scale = layer.scale.data();
      call.epilogue.shift = layer.shift.data();
    }
    table.tile_conv_row(shape, packed.data(), call);
  }
  return y;
}

void check_definition(const KernelTable& table, Layer& layer) {
  TileImage y = run(table, layer);
  double worst = 0.0;
  for (std::size_t t = 0; t < layer.n_frames; ++t) {
    for (std::size_t f = 0; f < layer.out_bins(); ++f) {
      const std::vector<double> want = layer.pixel(t, f);
      for (std::size_t c = 0; c < y.channels; ++c) {
        const double off = std::abs(want[c] - static_cast<double>(y.value(c, t, f)));
        worst = std::max(worst, off / (std::abs(want[c]) + 1e-2));
      }
    }
  }
  std::printf("%s %zu -> %zu%s, %zu x %zu: off by %.1e\n", table.isa, layer.shape.in_channels,
              y.channels, layer.shape.upsample ? " upsampled" : "", layer.n_frames,
              layer.out_bins(), worst);
  CHECK_NEAR(worst, 0.0, 0x1.02p-8);  // the output's rounding to bfloat16 alone
  // Padding is zero, as the next layer requires.
  double padding = 0.0;
  const std::size_t bins = round_up(y.n_bins, 16) + 1;
  for (std::size_t t = 0; t < layer.n_frames; ++t) {
    for (std::size_t c = 0; c < tile_channels(y.channels); ++c) {
      for (std::size_t f = c < y.channels ? y.n_bins : 0; f < bins; ++f) {
        padding += std::abs(static_cast<double>(y.value(c, t, f)));
      }
      padding += std::abs(static_cast<double>(y.value(c, t, 0 - std::size_t{1})));
    }
  }
  CHECK(padding == 0.0);
}

void check_image(const KernelTable& table, std::mt19937& random) {
  constexpr std::size_t kChannels = 40, kBins = 37;
  std::normal_distribution<float> normal;
  TileImage x(kChannels, 1, kBins);
  const std::size_t stride = tile_channels(kChannels);
  AlignedFloats weight(2 * stride);
  for (std::size_t c = 0; c < kChannels; ++c) {
    weight.data()[c] = 0.2f * normal(random);
    weight.data()[stride + c] = 0.2f * normal(random);
    for (std::size_t f = 0; f < kBins; ++f) {
      x.at(c, 0, f) =
          static_cast<std::uint16_t>(audiogen::core::bfloat16_word(normal(random)) >> 16);
    }
  }
  float out[2][kBins];
  table.tile_image_row(
      {x.row(0), kBins, kChannels, weight.data(), {0.1f, -0.2f}, {out[0], out[1]}});
  for (std::size_t i = 0; i < 2; ++i) {
    for (std::size_t f = 0; f < kBins; ++f) {
      double sum = i == 0 ? 0.1 : -0.2;
      for (std::size_t c = 0; c < kChannels; ++c) {
        sum += static_cast<double>(weight.data()[i * stride + c]) * x.value(c, 0, f);
      }
      CHECK_NEAR(out[i][f], std::tanh(sum), 1e-5);
    }
  }
}

}  // namespace

int main() {
  std::mt19937 random(1);
  const auto tables = available_kernels();
  const bool has_amx = std::string_view(tables.back()->isa) == "amx";
  if (has_amx) CHECK(bfloat16_rows(*tables.back()) == BFloat16Rows::kTiles);  // permits them
  for (const KernelTable* table : tables) check_image(*table, random);
  constexpr struct {
    std::size_t in, out, n_frames, n_bins;
  } kSizes[] = {{1, 1, 1, 1},    {5, 7, 3, 5},    {40, 48, 2, 33},
                {32, 24, 2, 65}, {70, 24, 2, 20}, {3, 130, 1, 130}};
  for (const auto& size : kSizes) {
    for (const bool upsample : {false, true}) {
      for (const bool conditioned : {false, true}) {
        const ConvShape shape{size.in, size.out, size.n_bins, upsample, false};
        Layer layer(shape, size.n_frames, conditioned, random, kTilePlane);
        if (has_amx) {  // beside the emulation with the same epilogue, before numbers are coarse
          TileImage want = run(*tables[tables.size() - 2], layer), got = run(*tables.back(), layer);
          CHECK(std::memcmp(want.floats.data(), got.floats.data(),
                            want.floats.size() * sizeof(float)) == 0);
        }
        make_coarse(layer);
        for (const KernelTable* table : tables) check_definition(*table, layer);
      }
    }
  }
  return audiogen::test::finish();
}
