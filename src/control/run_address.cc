#include "control/run_address.h"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>
#include <iterator>

namespace sluice::control {
namespace {

// __SO_ACCEPTCON of the kernel, as the file prints it: the socket listens.
constexpr std::string_view kListening = " 00010000 ";

}  // namespace

std::string socket_name(uid_t uid, std::string_view run) {
  return fmt::format("@sluice/{}/{}", uid, run);
}

std::vector<std::string> runs_named(std::string_view proc_net_unix, uid_t uid) {
  const std::string before = " " + socket_name(uid, "");
  std::vector<std::string> runs;
  while (!proc_net_unix.empty()) {
    const std::string_view line = proc_net_unix.substr(0, proc_net_unix.find('\n'));
    proc_net_unix.remove_prefix(std::min(line.size() + 1, proc_net_unix.size()));
    const std::size_t at = line.find(before);
    if (at == std::string_view::npos || line.find(kListening) > at) continue;
    runs.emplace_back(line.substr(at + before.size()));
  }
  std::ranges::sort(runs);
  const auto repeated = std::ranges::unique(runs);
  runs.erase(repeated.begin(), repeated.end());
  return runs;
}

std::vector<std::string> list_runs(uid_t uid) {
  std::ifstream file("/proc/net/unix");
  return runs_named({std::string(std::istreambuf_iterator<char>(file), {})}, uid);
}

}  // namespace sluice::control
