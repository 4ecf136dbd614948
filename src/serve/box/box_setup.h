// What the first process of a box is told: the command, who and where it is, its network and its
// files (box/guest/control_message.h), from the plan, from what was prepared for the guest, and
// from this process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "box/guest/control_message.h"
#include "serve/box/box_plan.h"
#include "serve/guest.h"

namespace sluice::serve {

// What the command takes over from us.
struct BoxCaller {
  std::vector<std::string> environment{};  // NAME=VALUE.
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> groups{};
  std::uint32_t umask = 022;
  std::string host_name{};
  std::optional<box::Window> terminal{};  // Standard input and output are one.
  bool error_is_terminal = false;         // Standard error is it, too.
};
// This process. For one with one thread.
[[nodiscard]] BoxCaller box_caller();

// By this tag the machine finds a share, counted from zero.
[[nodiscard]] std::string share_tag(std::size_t number);

// Variables of `plan` take the place of those of the caller that have their name.
[[nodiscard]] box::Setup box_setup(const BoxPlan& plan, const GuestSetting& setting,
                                   BoxCaller caller);

}  // namespace sluice::serve
