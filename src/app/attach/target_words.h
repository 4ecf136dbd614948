// How people name a namespace: by a process in it, by the path of its file, or by the name that
// 'ip netns' gave it.
#pragma once

#include <fmt/core.h>
#include <sys/types.h>

#include <algorithm>
#include <expected>
#include <limits>
#include <string>
#include <string_view>

#include "app/options/early_exit.h"
#include "app/options/number_option.h"

namespace sluice::app {

[[nodiscard]] inline bool is_process_word(std::string_view word) {
  return !word.empty() && std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; });
}

// `word` is one by is_process_word(), and `option` what a mistake names.
[[nodiscard]] inline std::expected<pid_t, Mistake> parse_process(std::string_view option,
                                                                 std::string_view word) {
  return parse_number<pid_t>(option, word, 1, std::numeric_limits<pid_t>::max());
}

[[nodiscard]] inline std::string network_path(std::string_view path_or_name) {
  return path_or_name.contains('/') ? std::string(path_or_name)
                                    : fmt::format("/run/netns/{}", path_or_name);
}

}  // namespace sluice::app
