// Similarity of names by their longest common subsequence.
#include "core/nearest_names.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace audiogen::core {
namespace {

constexpr std::size_t kLongest = 256;  // bytes of a name that are compared
constexpr std::size_t kMostNamed = 3, kMostListed = 20;
constexpr double kSimilar = 0.6;

// Bytes of the longest common subsequence, by dynamic programming over one row.
std::size_t common_length(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1, 0);
  for (const char c : a) {
    std::size_t diagonal = 0;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t above = row[j + 1];
      row[j + 1] = c == b[j] ? diagonal + 1 : std::max(above, row[j]);
      diagonal = above;
    }
  }
  return row.back();
}

}  // namespace

std::string nearest_names(std::string_view name, std::span<const std::string> known) {
  if (known.empty()) return "; there are none";
  std::string lower(name.substr(0, kLongest));
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  std::vector<std::pair<double, const std::string*>> near;
  for (const std::string& candidate : known) {
    const std::string_view text = std::string_view(candidate).substr(0, kLongest);
    const double total = static_cast<double>(lower.size() + text.size());
    const double similarity = 2.0 * static_cast<double>(common_length(lower, text)) / total;
    if (similarity >= kSimilar) near.emplace_back(similarity, &candidate);
  }
  std::ranges::stable_sort(near, [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string out = near.empty() ? "; there are: " : "; did you mean ";
  if (near.empty()) {
    for (std::size_t i = 0; i < std::min(known.size(), kMostListed); ++i) {
      out += (i ? ", " : "") + known[i];
    }
    return out + (known.size() > kMostListed ? ", ..." : "");
  }
  for (std::size_t i = 0; i < std::min(near.size(), kMostNamed); ++i) {
    out += (i ? " or " : "") + *near[i].second;
  }
  return out + "?";
}

}  // namespace audiogen::core
