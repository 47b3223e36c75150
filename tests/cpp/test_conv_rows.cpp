// The row convolution equals its definition on every instruction set, at odd sizes, in any order.
#include "kernels/networks/conv_rows.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <string_view>
#include <vector>

#include "check.h"
#include "conv_layer.h"
#include "core/aligned_floats.h"
#include "kernels/dispatch.h"

using namespace audiogen::kernels;
using audiogen::core::AlignedFloats;
using audiogen::test::Image;
using audiogen::test::Layer;

namespace {

// What a layer needs beside its input to be run by one set of kernels.
struct Run {
  const KernelTable& table;
  Layer& layer;
  AlignedFloats packed, stash, workspace;
  Run(const KernelTable& t, Layer& l)
      : table(t),
        layer(l),
        packed(conv_packed_floats(l.shape)),
        stash(conv_stash_floats(l.shape)),
        workspace(conv_workspace_floats(l.shape)) {
    table.pack_conv(l.shape, l.weight.data(), packed.data());
  }
  void row(std::size_t t, bool stash_valid, float* out) {
    const std::size_t at = t >> layer.shape.upsample;
    ConvRowCall call{};
    for (std::size_t i = 0; i < 3; ++i) call.rows[i] = layer.x.row(at + i - 1);  // -1 is beyond
    call.odd = t & 1;
    call.stash_valid = stash_valid;
    call.stash = stash.data();
    call.workspace = workspace.data();
    call.out = out;
    call.epilogue.bias = layer.bias.data();
    if (layer.conditioned) {
      call.epilogue.field = layer.field.data();
      call.epilogue.noise = layer.noise.data();
      call.epilogue.strength = layer.strength.data();
      call.epilogue.scale = layer.scale.data();
      call.epilogue.shift = layer.shift.data();
    }
    table.conv_row(layer.shape, packed.data(), call);
  }
};

void check_layer(const KernelTable& table, Layer& layer, double tolerance) {
  Run run(table, layer);
  const std::size_t width = layer.shape.out_channels, stride = padded_channels(width);
  Image y(width, layer.n_frames, layer.out_bins());
  for (std::size_t t = 0; t < layer.n_frames; ++t) run.row(t, t & 1, y.row(t));
  double worst = 0.0;
  bool padding_is_zero = true;
  for (std::size_t t = 0; t < layer.n_frames; ++t) {
    for (std::size_t f = 0; f < layer.out_bins(); ++f) {
      const std::vector<double> want = layer.pixel(t, f);
      for (std::size_t c = 0; c < width; ++c) {
        worst = std::max(worst, std::abs(want[c] - y.at(c, t, f)));
      }
      for (std::size_t c = width; c < stride; ++c) padding_is_zero &= y.row(t)[f * stride + c] == 0;
    }
    for (std::size_t f = layer.out_bins(); f <= padded_bins(layer.out_bins()); ++f) {
      for (std::size_t c = 0; c < stride; ++c) padding_is_zero &= y.row(t)[f * stride + c] == 0;
    }
  }
  std::printf("%s %zu -> %zu%s%s, %zu x %zu: off by %.1e\n", table.isa, layer.shape.in_channels,
              width, layer.shape.upsample ? " upsampled" : "",
              layer.shape.bfloat16 ? " bfloat16" : "", layer.n_frames, layer.out_bins(), worst);
  CHECK_NEAR(worst, 0.0, tolerance);
  CHECK(padding_is_zero);
  // Without the stash of the row before, and after rows in another order: the same bits.
  Image again(width, 1, layer.out_bins());
  for (std::size_t t = layer.n_frames; t-- > 0;) {
    run.row(t, false, again.row(0));
    CHECK(std::equal(y.row(t), y.row(t) + layer.out_bins() * stride, again.row(0)));
  }
}

// What weighted rows add to, zeros among them, at depths that are no multiple of anything.
void check_linear_row(const KernelTable& table) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  for (const std::size_t width : {kChannelAlign, 5 * kChannelAlign}) {
    for (std::size_t depth = 0; depth < 10; ++depth) {
      AlignedFloats weight(std::max<std::size_t>(1, depth * width)), y(width);
      for (std::size_t i = 0; i < depth * width; ++i) weight.data()[i] = normal(random);
      for (std::size_t i = 0; i < width; ++i) y.data()[i] = normal(random);
      std::vector<float> x(depth);
      for (std::size_t k = 0; k < depth; ++k) x[k] = k % 4 == depth % 3 ? 0.0f : normal(random);
      std::vector<double> want(y.data(), y.data() + width);
      for (std::size_t k = 0; k < depth; ++k) {
        for (std::size_t i = 0; i < width; ++i) want[i] += x[k] * weight.data()[k * width + i];
      }
      table.linear_row(x.data(), depth, weight.data(), width, y.data());
      for (std::size_t i = 0; i < width; ++i) CHECK_NEAR(y.data()[i], want[i], 1e-5);
    }
  }
}

}  // namespace

int main() {
  for (const KernelTable* table : available_kernels()) check_linear_row(*table);
  std::mt19937 random(1);
  constexpr struct {
    std::size_t in, out, n_frames, n_bins;
  } kSizes[] = {{1, 1, 1, 1},   {5, 7, 3, 5},    {17, 5, 4, 6},    {24, 24, 3, 18},
                {40, 48, 2, 9}, {32, 24, 2, 65}, {256, 9, 2, 130}, {8, 72, 5, 3}};
  for (const auto& size : kSizes) {
    for (const bool upsample : {false, true}) {
      for (const bool conditioned : {false, true}) {
        const ConvShape shape{size.in, size.out, size.n_bins, upsample, false};
        Layer layer(shape, size.n_frames, conditioned, random);
        for (const KernelTable* table : available_kernels()) {
          check_layer(*table, layer, 3e-5);  // 256 products, however fused
          if (std::string_view(table->isa) != "avx512_bf16") continue;
          layer.shape.bfloat16 = true;
          check_layer(*table, layer, 0.1);  // single pixels, whose norm may be small
          layer.shape.bfloat16 = false;
        }
      }
    }
  }
  return audiogen::test::finish();
}
