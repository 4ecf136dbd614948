// "did you mean" of the command line: base's, by its old name.
#pragma once

#include "base/suggestion.h"

namespace sluice::app {

using sluice::nearest;

}  // namespace sluice::app
