// Which process of a guest's has a flow, where that can be known: by the tables of sockets of its
// network namespace (proc_net(5)) and the descriptors of its processes. The guest is found among
// those that the run's own process has started; who may not look at them learns nothing. Of a
// machine's guest nothing is known. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "app/top/top_model.h"

namespace sluice::app {

// A socket of /proc/PID/net/tcp and its like: its own port, and its inode.
struct SocketRow {
  std::uint16_t port = 0;
  std::uint16_t remote_port = 0;
  std::uint64_t inode = 0;
};
// All of a table. What is no row of it is passed over.
[[nodiscard]] std::vector<SocketRow> read_socket_table(std::string_view text);

class GuestProcesses {
 public:
  // The run's process.
  explicit GuestProcesses(pid_t run) : run_(run) {}

  // Looks around, and fills in what it finds.
  void name_processes(std::vector<TopFlow>& flows);

 private:
  using Socket = std::tuple<std::string, std::uint16_t>;  // "tcp" and its own port.

  [[nodiscard]] std::string find_namespace() const;

  pid_t run_;
  std::string namespace_;  // "net:[4026532281]"; empty: not found yet.
};

}  // namespace sluice::app
