// The options of `sluice ctl`.
#pragma once

#include <array>

#include "app/options/option_spec.h"

namespace sluice::app {

inline constexpr std::array kCtlOptions{
    OptionSpec{OptionId::kJson, OptionKind::kFlag, "--json", "", "Options",
               "print answers as the run gives them"},
    OptionSpec{OptionId::kHelp, OptionKind::kFlag, "-h,--help", "", "Options", "print this"},
    OptionSpec{OptionId::kVersion, OptionKind::kFlag, "-V,--version", "", "Options",
               "print the version"},
};

}  // namespace sluice::app
