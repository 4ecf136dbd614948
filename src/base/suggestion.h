// "did you mean": the nearest of some words.
#pragma once

#include <span>
#include <string_view>

namespace sluice {

// The candidate that fewest insertions, deletions, replacements and swaps of neighbours separate
// from `word`; empty if none is near (more than a third of its letters would change).
[[nodiscard]] std::string_view nearest(std::string_view word,
                                       std::span<const std::string_view> candidates);

}  // namespace sluice
