// The form of Zeek's logs: tab-separated values behind a head that names them.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sluice::app::zeek {

struct Field {
  std::string_view name;
  std::string_view type;
};

// What a log of this path begins with; ends its last line.
[[nodiscard]] std::string head(std::string_view path, std::span<const Field> fields);

// One value: a tab or a newline would make it another field, and "-" is one that is not set.
[[nodiscard]] std::string field(std::string_view text);
[[nodiscard]] std::string seconds(std::chrono::nanoseconds time);
// "C" and the number in digits of 62, as Zeek's own are.
[[nodiscard]] std::string uid_of(std::uint64_t number);

}  // namespace sluice::app::zeek
