// Completes an error message about an unknown name with the known names most similar to it.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace audiogen::core {

// Returns "; did you mean harp or harpsichord?" for up to three known names whose similarity, twice
// the longest common subsequence over the sum of the lengths, is 0.6 or more. If there is none,
// returns "; there are: ..." with the first 20 known names. `name` is compared in lower case.
std::string nearest_names(std::string_view name, std::span<const std::string> known);

}  // namespace audiogen::core
