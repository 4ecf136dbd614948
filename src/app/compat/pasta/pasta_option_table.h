// The options that pasta has and passt has not.
#pragma once

#include <span>

#include "app/compat/passt_option_table.h"

namespace sluice::app {

[[nodiscard]] std::span<const PasstOption> pasta_options();

}  // namespace sluice::app
