// Durations and sizes as people write them, both ways.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace sluice::config {

// Ten years: beyond what anybody means, and far from where a deadline in nanoseconds overflows.
inline constexpr Duration kDurationMax = std::chrono::hours{24 * 365 * 10};

// "90" (seconds), "500ms", "5s", "10m", "1h", "2d". Nothing: not one of these, or above the most.
[[nodiscard]] std::optional<Duration> parse_duration(std::string_view text);
inline constexpr std::string_view kDurationShape =
    "a duration as 90 (seconds), \"500ms\", \"5s\", \"10m\" or \"1h\", at most ten years";

// "4096" (bytes), "64KiB", "10MB": KiB, MiB, GiB and TiB are powers of 1024 as K, M, G and T are,
// kB, MB, GB and TB powers of 1000. Letters have no case. "/s" may follow, of rates.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);
inline constexpr std::string_view kSizeShape = "a number of bytes as 65536, \"64KiB\" or \"10MB\"";

// Texts that read back as the same value, in the largest unit that is exact: "90s", "1h", "64KiB".
[[nodiscard]] std::string format_duration(Duration duration);
[[nodiscard]] std::string format_size(std::uint64_t bytes);

}  // namespace sluice::config
