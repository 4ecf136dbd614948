// How the people are asked whom a policy wants to be asked. Plain values.
#pragma once

#include <functional>
#include <string>

#include "policy/ask/ask_settings.h"

namespace sluice::serve {

struct AskPlan {
  policy::AskSettings settings{};
  // The registrable domain of a name, both as text in A-labels; empty: it has none. Called while
  // the process is confined: what it needs is loaded.
  std::function<std::string(const std::string& name)> domain_of{};
  std::string program{};  // --ask-exec: a command line for the shell; empty: none.
  std::string command{};  // What the guest runs, to be kept with what is remembered.
};

}  // namespace sluice::serve
