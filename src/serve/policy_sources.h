// From what a guest's policy was made, for whoever wants to make it again: what was typed, with the
// paths of files in full. Nobody reads them while the guest is served but `sluice ctl reload`, as
// the guest's command may write them.
#pragma once

#include <string>
#include <vector>

namespace sluice::serve {

struct PolicySources {
  std::vector<std::string> allow{};
  std::vector<std::string> deny{};
  std::vector<std::string> ask{};
  std::vector<std::string> limits{};  // --limit
  std::vector<std::string> files{};
  std::vector<std::string> profiles{};
  std::string fallback{};       // --default; empty: it was not given.
  bool host_loopback = false;   // --host-loopback
  bool host_addresses = false;  // --host-addresses
};

}  // namespace sluice::serve
