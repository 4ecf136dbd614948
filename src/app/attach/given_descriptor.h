// Descriptors that whoever started us has left open for us, by their numbers.
#pragma once

#include <expected>
#include <optional>
#include <string_view>

#include "app/options/early_exit.h"
#include "base/unique_fd.h"

namespace sluice::app {

// From here on it is ours, and closed by exec. Before we open any of our own, which might get that
// number. Without a number it is invalid; `option` is named in the mistake.
[[nodiscard]] std::expected<UniqueFd, Mistake> take_given(std::string_view option,
                                                          std::optional<int> number);

}  // namespace sluice::app
