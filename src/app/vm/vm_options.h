// What `sluice vm` was asked to do: every option, checked, with defaults filled in.
#pragma once

#include <cstdint>
#include <expected>
#include <span>

#include "app/guest/guest_options.h"
#include "app/options/early_exit.h"
#include "app/options/raw_options.h"
#include "serve/machine_guest.h"

namespace sluice::app {

// A stream costs both ends less the fewer frames there are, and takes any: with 65,520 the guest's
// kernel and ours handle a 45th of those with 1500. passt has the same default.
inline constexpr std::uint16_t kStreamMtu = 65'520;
// Who sends frames as packets has buffers for those of an ordinary network, if not told otherwise
// (User Mode Linux: mtu=N), and loses what is longer.
inline constexpr std::uint16_t kPacketMtu = 1500;

struct VmOptions : GuestOptions {
  serve::MachinePlan machine;
};

// From words that somebody has taken apart.
[[nodiscard]] std::expected<VmOptions, Mistake> read_vm_options(const RawOptions& raw);

// `arguments` are those after "vm".
[[nodiscard]] std::expected<VmOptions, EarlyExit> parse_vm_options(
    std::span<const char* const> arguments);

}  // namespace sluice::app
