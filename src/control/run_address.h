// Where the control socket of a run is: an abstract UNIX socket (unix(7)), named
//
//   sluice/UID/RUN
//
// An abstract name belongs to a network namespace, so a guest, whose namespace is another one,
// cannot reach it, and there is no file that it could remove or replace.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace sluice::control {

// As sys/unix_socket.h takes it: '@' first.
[[nodiscard]] std::string socket_name(uid_t uid, std::string_view run);

// The runs of a user of which something listens, by what /proc/net/unix says (proc_net(5)), in
// alphabetical order. Who made the socket is not known by its name: ask it.
[[nodiscard]] std::vector<std::string> runs_named(std::string_view proc_net_unix, uid_t uid);
// ... that can be seen from this process's network namespace. None where the file cannot be read.
[[nodiscard]] std::vector<std::string> list_runs(uid_t uid);

// Those of all users: root may speak to them.
struct UserRun {
  uid_t uid = 0;
  std::string run;
  friend bool operator==(const UserRun&, const UserRun&) = default;
};
[[nodiscard]] std::vector<UserRun> user_runs_named(std::string_view proc_net_unix);
[[nodiscard]] std::vector<UserRun> list_user_runs();

}  // namespace sluice::control
