// What `sluice box` was asked to do: every option, checked, with defaults filled in that do not
// depend on this machine.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/guest/guest_options.h"
#include "app/options/early_exit.h"
#include "serve/box/box_plan.h"

namespace sluice::app {

// What Debian's kernel, our init and a shell need, and a little more; and beyond what anybody has.
inline constexpr std::uint64_t kBoxMemoryMin = std::uint64_t{128} << 20U;
inline constexpr std::uint64_t kBoxMemoryMax = std::uint64_t{1} << 40U;

struct BoxOptions : GuestOptions {
  // Paths as they were written; processors and memory as BoxOptions has them.
  serve::BoxPlan box;
  std::optional<std::uint32_t> cpus;    // --cpus
  std::optional<std::uint64_t> memory;  // --memory, in bytes
};

// What the machine gets where nobody says: processors as far as we may use them, kBoxCpusDefault at
// most, and a GiB, but no more than half of what this machine has.
inline constexpr std::uint32_t kBoxCpusDefault = 4;
inline constexpr std::uint64_t kBoxMemoryDefault = std::uint64_t{1} << 30U;
[[nodiscard]] std::uint32_t default_cpus(std::uint32_t usable_cores);
[[nodiscard]] std::uint64_t default_memory(std::uint64_t physical);

// PATH[:TARGET][:ro|:rw]. The paths are as they were written; without TARGET that is PATH.
[[nodiscard]] std::expected<serve::BoxShare, Mistake> parse_share(std::string_view text);

// `arguments` are those after "box". `shell` is what to start if no command is named; a program
// passes getenv("SHELL"). With a root of its own, and where it is empty, /bin/sh stands in.
[[nodiscard]] std::expected<BoxOptions, EarlyExit> parse_box_options(
    std::span<const char* const> arguments, std::string_view shell);

}  // namespace sluice::app
