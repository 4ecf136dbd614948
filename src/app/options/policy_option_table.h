// The options of `policy` and `profile`.
#pragma once

#include <array>

#include "app/options/guest_option_table.h"
#include "app/options/option_spec.h"

namespace sluice::app {

inline constexpr OptionSpec kJsonOption{OptionId::kJson, OptionKind::kFlag,         "--json", "",
                                        "Others",        "print JSON, for programs"};

inline constexpr std::array kPolicyOptions{
    guest_option::kAllow, guest_option::kDeny, guest_option::kProfile, guest_option::kDefault,
    guest_option::kAsk,   kJsonOption,         guest_option::kHelp,    guest_option::kVersion,
};

inline constexpr std::array kProfileOptions{
    kJsonOption,
    guest_option::kHelp,
    guest_option::kVersion,
};

}  // namespace sluice::app
