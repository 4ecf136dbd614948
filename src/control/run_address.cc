#include "control/run_address.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <functional>
#include <iterator>
#include <tuple>

namespace sluice::control {
namespace {

// __SO_ACCEPTCON of the kernel, as the file prints it: the socket listens.
constexpr std::string_view kListening = " 00010000 ";

// Calls back with the name of each socket that listens and whose name begins so.
template <typename OnRest>
void each_listening(std::string_view proc_net_unix, const std::string& prefix,
                    const OnRest& on_rest) {
  const std::string before = " " + prefix;
  while (!proc_net_unix.empty()) {
    const std::string_view line = proc_net_unix.substr(0, proc_net_unix.find('\n'));
    proc_net_unix.remove_prefix(std::min(line.size() + 1, proc_net_unix.size()));
    const std::size_t at = line.find(before);
    if (at == std::string_view::npos || line.find(kListening) > at) continue;
    on_rest(line.substr(at + before.size()));
  }
}

template <typename Runs>
void sort_once_each(Runs& runs, auto by) {
  std::ranges::sort(runs, {}, by);
  const auto repeated = std::ranges::unique(runs);
  runs.erase(repeated.begin(), repeated.end());
}

[[nodiscard]] std::string read_table() {
  std::ifstream file("/proc/net/unix");
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace

std::string socket_name(uid_t uid, std::string_view run) {
  return fmt::format("@sluice/{}/{}", uid, run);
}

std::vector<std::string> runs_named(std::string_view proc_net_unix, uid_t uid) {
  std::vector<std::string> runs;
  each_listening(proc_net_unix, socket_name(uid, ""),
                 [&](std::string_view run) { runs.emplace_back(run); });
  sort_once_each(runs, std::identity{});
  return runs;
}

std::vector<std::string> list_runs(uid_t uid) { return runs_named(read_table(), uid); }

std::vector<UserRun> user_runs_named(std::string_view proc_net_unix) {
  std::vector<UserRun> runs;
  each_listening(proc_net_unix, "@sluice/", [&](std::string_view rest) {
    const std::size_t slash = rest.find('/');
    if (slash == std::string_view::npos) return;
    uid_t uid = 0;
    const char* const end = rest.data() + slash;
    const auto [stop, error] = std::from_chars(rest.data(), end, uid);
    if (error != std::errc{} || stop != end) return;
    runs.push_back({uid, std::string(rest.substr(slash + 1))});
  });
  sort_once_each(runs, [](const UserRun& one) { return std::tuple(one.run, one.uid); });
  return runs;
}

std::vector<UserRun> list_user_runs() { return user_runs_named(read_table()); }

}  // namespace sluice::control
