// The kernels of SampleRNN equal plain loops on every instruction set, at odd sizes.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

#include "check.h"
#include "core/aligned_floats.h"
#include "core/realtime.h"
#include "kernels/dispatch.h"

using namespace audiogen::kernels;
using audiogen::core::AlignedFloats;
using audiogen::core::DenormalGuard;

namespace {

std::vector<float> normal(std::size_t n, std::mt19937& random) {
  std::normal_distribution<float> distribution;
  std::vector<float> x(n);
  for (float& value : x) value = distribution(random);
  return x;
}

// The nearest bfloat16, ties to even.
double bfloat16(float x) {
  int exponent;
  const double mantissa = std::frexp(static_cast<double>(x), &exponent);
  return std::ldexp(std::nearbyint(mantissa * 256.0), exponent - 8);
}

// What int8 makes of numbers: integers to `range`, what is left of each in 254ths of their unit,
// and that.
struct Quantised {
  std::vector<int> integers, rests;
  float unit;
  Quantised(const float* x, std::size_t n, float range) {
    float most = 0.0f;
    for (std::size_t i = 0; i < n; ++i) most = std::max(most, std::abs(x[i]));
    unit = most / range;
    for (std::size_t i = 0; i < n; ++i) {
      const volatile float scaled = most > 0.0f ? x[i] * (range / most) : 0.0f;
      integers.push_back(static_cast<int>(std::nearbyintf(scaled)));
      const volatile float held = static_cast<float>(integers.back()) * unit;
      const volatile float left = (x[i] - held) * (most > 0.0f ? range / most * 254.0f : 0.0f);
      rests.push_back(static_cast<int>(std::nearbyintf(left)));
    }
  }
  explicit Quantised(const float* weight, std::size_t n) : Quantised(weight, n, 127.0f) {
    for (std::size_t i = 0; i < n && unit > 0.0f; ++i) {
      integers[i] = std::clamp(static_cast<int>(std::nearbyintf(weight[i] / unit)), -127, 127);
    }
  }
};

struct Product {
  MatrixShape shape;
  std::vector<float> weight, bias;
  std::size_t n;
  std::vector<float> x;

  double expected(std::size_t row, std::size_t column) const {
    std::vector<float> in(x.begin() + static_cast<std::ptrdiff_t>(column * shape.depth),
                          x.begin() + static_cast<std::ptrdiff_t>((column + 1) * shape.depth));
    for (float& value : in) value = shape.rectified ? std::max(value, 0.0f) : value;
    const float* w = weight.data() + row * shape.depth;
    double sum = 0.0;
    if (shape.form == MatrixForm::kInt8) {
      const Quantised a(w, shape.depth),
          b(in.data(), shape.depth, shape.rectified ? 255.0f : 127.0f);
      for (std::size_t k = 0; k < shape.depth; ++k) {
        const double rest = shape.parts == 2 ? b.rests[k] / 254.0 : 0.0;
        sum += a.integers[k] * (b.integers[k] + rest);
      }
      sum *= static_cast<double>(a.unit) * b.unit;
    } else if (shape.form == MatrixForm::kBFloat16) {
      for (std::size_t k = 0; k < shape.depth; ++k) {
        const double part = bfloat16(in[k]);
        const double rest = shape.parts == 2 ? bfloat16(static_cast<float>(in[k] - part)) : 0.0;
        sum += bfloat16(w[k]) * (part + rest);
      }
    } else {
      for (std::size_t k = 0; k < shape.depth; ++k) sum += static_cast<double>(w[k]) * in[k];
    }
    return sum + (bias.empty() ? 0.0 : bias[row]);
  }

  // [n, rows], by calls for the columns `first` .. `last` and for the two parts of the rows.
  std::vector<float> run(const KernelTable& table, std::size_t first, std::size_t last,
                         std::size_t cut, bool on_tiles = false) const {
    Multiply* multiply = on_tiles ? table.multiply_tiles : table.multiply;
    AlignedFloats packed(matrix_packed_floats(shape));
    table.pack_matrix(shape, weight.data(), bias.empty() ? nullptr : bias.data(), packed.data());
    AlignedFloats columns((last - first) * column_floats(shape));
    std::memset(columns.data(), 0xff, columns.size() * sizeof(float));  // as of other shapes
    const std::size_t stride = shape.rows + 3;
    std::vector<float> out((last - first) * stride, NAN);
    std::vector<float*> targets;
    for (std::size_t c = first; c < last; ++c) {
      table.pack_column(shape, x.data() + c * shape.depth,
                        columns.data() + (c - first) * column_floats(shape));
      targets.push_back(out.data() + (c - first) * stride);
    }
    ProductCall call{
        packed.data(), columns.data(), last - first, targets.data(), 0, std::min(cut, shape.rows)};
    call.next = packed.data();
    call.n_next = packed.size();
    if (cut > 0) multiply(shape, call);
    if (cut < shape.rows) {
      multiply(shape,
               {packed.data(), columns.data(), last - first, targets.data(), cut, shape.rows});
    }
    std::vector<float> result;
    for (const float* y : targets) {
      result.insert(result.end(), y, y + shape.rows);
      for (std::size_t i = shape.rows; i < stride; ++i) CHECK(std::isnan(y[i]));
    }
    return result;
  }
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void products() {
  std::mt19937 random(1);
  const std::size_t sizes[][2] = {{1, 1},     {3, 5},    {64, 16}, {65, 17},
                                  {130, 100}, {257, 33}, {320, 2}, {48, 300}};
  const std::pair<MatrixForm, std::size_t> forms[] = {{MatrixForm::kFloat32, 1},
                                                      {MatrixForm::kBFloat16, 1},
                                                      {MatrixForm::kBFloat16, 2},
                                                      {MatrixForm::kInt8, 1},
                                                      {MatrixForm::kInt8, 2}};
  for (const auto& [form, parts] : forms) {
    for (const auto& [rows, depth] : sizes) {
      for (const bool rectified : {false, true}) {
        Product p{{rows, depth, form, parts, rectified}, normal(rows * depth, random), {}, 13, {}};
        p.x = normal(p.n * depth, random);
        std::fill_n(p.x.begin() + static_cast<std::ptrdiff_t>(depth), depth, 0.0f);
        std::fill_n(p.weight.begin(), depth, 0.0f);
        std::vector<float> exact;
        for (const KernelTable* table : available_kernels()) {
          p.bias.clear();
          const auto bare = p.run(*table, 0, p.n, rows);
          // Integers are the same everywhere; so is what they are multiplied with.
          if (form == MatrixForm::kInt8) CHECK(exact.empty() || same_bits(bare, exact));
          exact = bare;
          p.bias = normal(rows, random);
          const auto whole = p.run(*table, 0, p.n, rows);
          const double scale = 4.0 * std::sqrt(static_cast<double>(depth));
          for (std::size_t c = 0; c < p.n; ++c) {
            for (std::size_t row = 0; row < rows; ++row) {
              CHECK_NEAR(whole[c * rows + row], p.expected(row, c), 1e-6 * scale);
            }
          }
          for (std::size_t n = 1; n <= 7; ++n) {
            const auto part = p.run(*table, 3, 3 + n, rows);
            CHECK(same_bits(part, {whole.begin() + static_cast<std::ptrdiff_t>(3 * rows),
                                   whole.begin() + static_cast<std::ptrdiff_t>((3 + n) * rows)}));
            for (std::size_t cut = 0; cut < rows; cut += kBlockRows) {
              CHECK(same_bits(part, p.run(*table, 3, 3 + n, cut)));
            }
          }
        }
      }
    }
  }
}

// int8 on tiles, AMX's or emulated, is what it is without, to the bit.
void products_on_tiles() {
  std::mt19937 random(11);
  const std::size_t sizes[][2] = {{1, 1}, {65, 17}, {130, 100}, {64, 64}, {257, 130}, {192, 192}};
  bool permitted = false;
  for (const KernelTable* table : available_kernels()) {
    const bool is_amx = std::string_view(table->isa) == "amx";
    if (is_amx && !has_byte_tiles(*table)) continue;
    permitted |= is_amx;
    for (const std::size_t parts : {1, 2}) {
      for (const auto& [rows, depth] : sizes) {
        for (const bool rectified : {false, true}) {
          Product p{{rows, depth, MatrixForm::kInt8, parts, rectified},
                    normal(rows * depth, random),
                    normal(rows, random),
                    37,
                    {}};
          p.x = normal(p.n * depth, random);
          for (const std::size_t n : {1, 5, 16, 17, 37}) {
            const auto want = p.run(*table, 0, n, rows);
            for (std::size_t cut = 0; cut <= rows; cut += 2 * kBlockRows) {
              CHECK(same_bits(p.run(*table, 0, n, cut, true), want));
            }
          }
        }
      }
    }
  }
  if (!permitted)
    std::printf("this CPU, or this system, has no AMX: only emulated tiles are tested\n");
}

// Columns with zeros: by their lists, alone or in company, they give what all steps give.
void zeros() {
  std::mt19937 random(7);
  const double shares[] = {0.0, 0.02, 0.1, 0.3, 0.55, 0.9, 1.0, 1.0, 1.0, 1.0, 1.0};
  const std::size_t n_sparse = 4, n = std::size(shares);
  const std::size_t sizes[][2] = {{3, 5}, {65, 17}, {130, 100}, {257, 256}, {320, 1024}};
  for (const auto form : {MatrixForm::kFloat32, MatrixForm::kBFloat16, MatrixForm::kInt8}) {
    for (const auto& [rows, depth] : sizes) {
      Product p{{rows, depth, form, 1, true},
                normal(rows * depth, random),
                normal(rows, random),
                n,
                normal(n * depth, random)};
      for (std::size_t i = 0; i < p.x.size(); ++i) {
        const bool some = std::bernoulli_distribution(shares[i / depth])(random);
        p.x[i] = some ? std::abs(p.x[i]) : -std::abs(p.x[i]);
      }
      const auto column = [&](const std::vector<float>& y, std::size_t first, std::size_t last) {
        return std::vector<float>(y.begin() + static_cast<std::ptrdiff_t>(first * rows),
                                  y.begin() + static_cast<std::ptrdiff_t>(last * rows));
      };
      for (const KernelTable* table : available_kernels()) {
        const auto all = p.run(*table, 0, n, rows);
        CHECK(same_bits(p.run(*table, 0, n_sparse, rows), column(all, 0, n_sparse)));
        for (std::size_t c = 0; c < n; ++c) {
          CHECK(same_bits(p.run(*table, c, c + 1, rows), column(all, c, c + 1)));
          CHECK(same_bits(p.run(*table, c, c + 1, rows / 2 / kBlockRows * kBlockRows),
                          column(all, c, c + 1)));
        }
      }
    }
  }
  // A weight that meets a zero isn't read where that pays.
  const std::size_t depth = 100;
  Product p{{70, depth, MatrixForm::kFloat32, 1, true}, normal(70 * depth, random), {}, 2, {}};
  p.x = normal(2 * depth, random);
  for (std::size_t i = 0; i < p.x.size(); ++i) {
    if (i % 4) p.x[i] = -1.0f;
  }
  for (std::size_t i = 0; i < p.weight.size(); ++i) p.weight[i] = i % 4 ? NAN : p.weight[i];
  for (const KernelTable* table : available_kernels()) {
    for (const std::size_t last : {1u, 2u}) {
      for (const float y : p.run(*table, 0, last, 64)) CHECK(std::isfinite(y));
    }
  }
}

// Rows of multiples of a power of two lose nothing in int8, and two parts next to nothing of a
// column.
void grids() {
  std::mt19937 random(6);
  const std::size_t rows = 70, depth = 100;
  for (const auto form : {MatrixForm::kBFloat16, MatrixForm::kInt8}) {
    Product p{{rows, depth, form, 2}, normal(rows * depth, random), {}, 3, {}};
    for (std::size_t i = 0; i < p.weight.size(); ++i) {
      // The largest of a row is anything from 64 to 127 units.
      const float unit = std::ldexp(1.0f, static_cast<int>(i / depth % 5) - 9);
      const float most = 64.0f + static_cast<float>(i / depth % 64);
      p.weight[i] = unit * std::clamp(std::nearbyint(40.0f * p.weight[i]), -most, most);
    }
    for (std::size_t row = 0; row < rows; ++row) {
      p.weight[row * depth] =
          std::ldexp(64.0f + static_cast<float>(row % 64), static_cast<int>(row % 5) - 9);
    }
    p.x = normal(p.n * depth, random);
    for (const KernelTable* table : available_kernels()) {
      const auto product = p.run(*table, 0, p.n, rows);
      for (std::size_t c = 0; c < p.n; ++c) {
        for (std::size_t row = 0; row < rows; ++row) {
          double exact = 0.0, largest = 0.0;
          for (std::size_t k = 0; k < depth; ++k) {
            const double term = static_cast<double>(p.weight[row * depth + k]) * p.x[c * depth + k];
            exact += term;
            largest += std::abs(term);
          }
          CHECK_NEAR(product[c * rows + row], exact, 1e-4 * largest);
        }
      }
    }
  }
}

void folds() {
  std::mt19937 random(2);
  for (const FoldSizes s : {FoldSizes{1, 1, 1}, {5, 3, 7}, {4, 600, 33}, {9, 256, 16}, {3, 0, 2}}) {
    std::vector<double> a(s.m * s.depth), b(s.depth * s.n), c(s.m * s.n, NAN);
    for (double& value : a) value = std::normal_distribution<double>()(random);
    for (double& value : b) value = std::normal_distribution<double>()(random);
    for (const KernelTable* table : available_kernels()) {
      table->fold(s, a.data(), b.data(), c.data());
      for (std::size_t i = 0; i < s.m; ++i) {
        for (std::size_t j = 0; j < s.n; ++j) {
          double sum = 0.0;
          for (std::size_t k = 0; k < s.depth; ++k) sum += a[i * s.depth + k] * b[k * s.n + j];
          CHECK_NEAR(c[i * s.n + j], sum, 1e-12 * static_cast<double>(s.depth + 1));
        }
      }
    }
  }
}

double logistic(double x) { return 1.0 / (1.0 + std::exp(-x)); }

void gates() {
  std::mt19937 random(3);
  for (const std::size_t dim : {1u, 7u, 16u, 37u}) {
    std::vector<float> x = normal(4 * dim, random), r = normal(4 * dim, random);
    const std::vector<float> h = normal(dim, random), c = normal(dim, random);
    x[0] = 200.0f;  // beyond the range of exp
    x[dim] = -200.0f;
    for (const KernelTable* table : available_kernels()) {
      std::vector<float> gru = h, lstm = h, cell = c;
      table->gru_gates({x.data(), r.data(), gru.data(), nullptr, dim});
      table->lstm_gates({x.data(), r.data(), lstm.data(), cell.data(), dim});
      for (std::size_t i = 0; i < dim; ++i) {
        const auto sum = [&](std::size_t g) {
          return static_cast<double>(x[g * dim + i]) + r[g * dim + i];
        };
        const double update = logistic(sum(1));
        const double fresh = std::tanh(x[2 * dim + i] + logistic(sum(0)) * r[2 * dim + i]);
        CHECK_NEAR(gru[i], (1.0 - update) * fresh + update * h[i], 2e-6);
        const double next = logistic(sum(1)) * c[i] + logistic(sum(0)) * std::tanh(sum(2));
        CHECK_NEAR(cell[i], next, 2e-6);
        CHECK_NEAR(lstm[i], logistic(sum(3)) * std::tanh(next), 2e-6);
      }
    }
  }
}

// h after a step from x, r (reset, update, new) and h, in that order.
double stepped(const std::array<double, 7>& from) {
  const double update = logistic(from[1] + from[4]);
  const double fresh = std::tanh(from[2] + logistic(from[0] + from[3]) * from[5]);
  return (1.0 - update) * fresh + update * from[6];
}

void gate_gradients() {
  std::mt19937 random(5);
  for (const std::size_t dim : {1u, 7u, 16u, 37u}) {
    const std::vector<float> x = normal(3 * dim, random), r = normal(3 * dim, random);
    const std::vector<float> h = normal(dim, random), dh = normal(dim, random);
    for (const KernelTable* table : available_kernels()) {
      std::vector<float> dx(3 * dim), dr(3 * dim), dstate = dh;
      table->gru_gates_gradient(
          {x.data(), r.data(), h.data(), dstate.data(), dx.data(), dr.data(), dim});
      for (std::size_t i = 0; i < dim; ++i) {
        const std::array<double, 7> at{x[i],           x[dim + i], x[2 * dim + i], r[i], r[dim + i],
                                       r[2 * dim + i], h[i]};
        for (std::size_t k = 0; k < at.size(); ++k) {
          std::array<double, 7> above = at, below = at;
          above[k] += 1e-5;
          below[k] -= 1e-5;
          const double slope = (stepped(above) - stepped(below)) / 2e-5;
          const float got = k < 3 ? dx[k * dim + i] : k < 6 ? dr[(k - 3) * dim + i] : dstate[i];
          CHECK_NEAR(got, slope * dh[i], 5e-6);
        }
      }
    }
  }
}

void rows() {
  std::mt19937 random(4);
  for (const std::size_t width : {1u, 15u, 16u, 37u}) {
    const std::vector<float> x = normal(3 * width, random);
    const float* const pointers[] = {x.data(), x.data() + width, x.data() + 2 * width};
    for (const KernelTable* table : available_kernels()) {
      std::vector<float> y(width);
      table->add_rows(pointers, 3, width, y.data());
      for (std::size_t i = 0; i < width; ++i) CHECK(y[i] == x[i] + x[width + i] + x[2 * width + i]);
    }
  }
}

// The draw by its definition: sort, cut, add up.
int drawn(const std::vector<float>& logits, float temperature, float top_p, float uniform) {
  std::vector<double> p;
  const float most = *std::ranges::max_element(logits);
  if (temperature < 1e-3f) {
    return static_cast<int>(std::ranges::max_element(logits) - logits.begin());
  }
  double total = 0.0;
  for (const float logit : logits) {
    p.push_back(std::exp(static_cast<double>(logit / temperature - most / temperature)));
    total += p.back();
  }
  std::vector<int> order(p.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  std::ranges::stable_sort(order, [&](int a, int b) {
    return p[static_cast<std::size_t>(a)] > p[static_cast<std::size_t>(b)];
  });
  double kept = 0.0;
  for (const int level : order) {
    double& share = p[static_cast<std::size_t>(level)];
    if (top_p < 1.0f && kept >= static_cast<double>(top_p) * total) {
      share = 0.0;
    } else {
      kept += share;
    }
  }
  double sum = 0.0;
  for (std::size_t k = 0; k < p.size(); ++k) {
    sum += p[k];
    if (sum > static_cast<double>(uniform) * kept) return static_cast<int>(k);
  }
  return -1;
}

void draws() {
  std::mt19937 random(5);
  std::uniform_real_distribution<float> uniform;
  for (const std::size_t n : {2u, 9u, 100u, 256u}) {
    for (const float temperature : {1.0f, 0.3f, 2.0f, 0.0f}) {
      for (const float top_p : {1.0f, 0.99f, 0.9f, 0.5f, 0.01f}) {
        for (int trial = 0; trial < 60; ++trial) {
          std::vector<float> logits = normal(n, random);
          // Spread out, with many equals, and nearly alike.
          for (float& logit : logits) {
            logit = trial % 3 == 0   ? 3.0f * logit
                    : trial % 3 == 1 ? std::round(2.0f * logit)
                                     : 1e-3f * logit;
          }
          const float u = uniform(random);
          for (const KernelTable* table : available_kernels()) {
            const DrawCall call{logits.data(), n, temperature, top_p, u};
            CHECK(table->draw(call) == drawn(logits, temperature, top_p, u));
          }
        }
      }
    }
  }
  for (const KernelTable* table : available_kernels()) {
    // Of equal levels the lower ones are kept; the share of each is exact.
    const std::vector<float> equal(8, 1.5f);
    for (const float u : {0.0f, 0.3f, 0.5f, 0.999f}) {
      const int level = table->draw({equal.data(), 8, 1.0f, 0.5f, u});
      CHECK(level == static_cast<int>(4.0f * u));
    }
    // The uniform number next to 1, with hopeless levels behind.
    const std::vector<float> sharp = {0.0f, 1.0f, -200.0f, -200.0f};
    CHECK(table->draw({sharp.data(), 4, 1.0f, 1.0f, 1.0f - 0x1p-24f}) == 1);
    CHECK(table->draw({sharp.data(), 4, 1e-4f, 1.0f, 0.0f}) == 1);
    CHECK(table->draw({sharp.data(), 4, 1e-3f, 1.0f, 0.5f}) == 1);
    // All equal: half of them, and the first alone, where vectors end and sums round.
    for (const std::size_t n : {16u, 17u, 20u, 24u, 256u}) {
      const std::vector<float> same(n, -2.5f);
      for (const float u : {0.0f, 0.4f, 1.0f - 0x1p-24f}) {
        const int half = static_cast<int>((n + 1) / 2);
        CHECK(table->draw({same.data(), n, 1.0f, 0.5f, u}) ==
              static_cast<int>(static_cast<float>(half) * u));
        CHECK(table->draw({same.data(), n, 1.0f, 1e-6f, u}) == 0);
        CHECK(table->draw({same.data(), n, 1.0f, 1.0f - 0x1p-24f, u}) ==
              static_cast<int>(static_cast<float>(n) * u));
      }
    }
    // The first of 255 equals: that the nucleus is one level doesn't make it the first of all.
    std::vector<float> nearly(256, -2.5f);
    nearly[0] = std::nextafter(-2.5f, -3.0f);
    CHECK(table->draw({nearly.data(), 256, 1.0f, 1e-6f, 0.5f}) == 1);
    const DenormalGuard guard;
    const std::vector<float> two = {0.0f, 5.0f};
    CHECK(table->draw({two.data(), 2, 1.0f, 1e-40f, 0.5f}) == 1);
    // What isn't a number, in a vector and behind it: some level.
    for (const std::size_t at : {0u, 5u, 39u}) {
      for (const float what : {NAN, INFINITY, -INFINITY}) {
        std::vector<float> wild = normal(40, random);
        wild[at] = what;
        for (const float top_p : {1.0f, 0.9f}) {
          const int level = table->draw({wild.data(), wild.size(), 1.0f, top_p, 0.5f});
          CHECK(level >= 0 && level < 40);
        }
      }
    }
    const std::vector<float> none(40, -INFINITY);
    const int level = table->draw({none.data(), none.size(), 1.0f, 0.9f, 0.5f});
    CHECK(level >= 0 && level < 40);
  }
}

}  // namespace

int main() {
  products();
  products_on_tiles();
  zeros();
  grids();
  folds();
  gates();
  gate_gradients();
  rows();
  draws();
  return audiogen::test::finish();
}
