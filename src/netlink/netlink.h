// rtnetlink (libmnl): the few requests that set up a guest's network, sent as one batch.
//
// A batch names each request, so that the one that fails can be told. The kernel carries the
// requests out in order within the one send; acknowledgements are read after.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "sys/setup_error.h"
#include "sys/sys_error.h"
#include "wire/address.h"

namespace sluice::netlink {

struct LinkChange {
  bool up = false;
  std::optional<std::uint32_t> mtu = std::nullopt;
  std::optional<std::uint32_t> transmit_queue = std::nullopt;  // Length in packets.
  std::optional<wire::MacAddress> mac = std::nullopt;
  std::optional<std::string> name = std::nullopt;
  // The kernel makes no IPv6 link-local address of its own when the link comes up.
  bool no_automatic_link_local = false;
  bool no_arp = false;  // It asks for no neighbour, and answers none.
};

// Two interfaces (veth(4)): whatever leaves by one comes by the other.
struct VethPair {
  std::uint32_t index = 0;  // As the near one shall be numbered.
  std::string name = {};
  std::uint32_t mtu = 0;
  // The far one: its name, and a descriptor of the network namespace that it is for.
  std::string far_name = {};
  int far_namespace = -1;
};

class NetlinkBatch {
 public:
  void add_veth_pair(const VethPair& pair);
  void change_link(std::uint32_t index, const LinkChange& change);
  // Packets go to the interface's own queues without waiting in a queueing discipline before them.
  void remove_discipline(std::uint32_t index);
  // IPv6 addresses are usable at once: duplicate address detection is skipped.
  void add_address(std::uint32_t index, const wire::IpAddress& address, std::uint8_t length);
  void add_default_route(std::uint32_t index, const wire::IpAddress& gateway);
  // Packets with `mark` look their route up in `table`. A lower preference is asked earlier. A
  // rule that is there already is no failure.
  void add_mark_rule(wire::IpFamily family, std::uint32_t mark, std::uint32_t table,
                     std::uint32_t preference);
  // In `table` every address of the family is the host's own, reached by interface `index`.
  void add_local_route(wire::IpFamily family, std::uint32_t index, std::uint32_t table);
  // The same two taken away. What is not there is no failure.
  void remove_mark_rule(wire::IpFamily family, std::uint32_t mark, std::uint32_t table,
                        std::uint32_t preference);
  void remove_local_route(wire::IpFamily family, std::uint32_t index, std::uint32_t table);

  [[nodiscard]] bool empty() const { return steps_.empty(); }

 private:
  friend class Netlink;
  // Room for one message; returns it zeroed.
  [[nodiscard]] char* begin();
  struct Step {
    std::string name;
    int harmless = 0;  // An errno that means success.
  };
  void commit(std::string step, int harmless = 0);

  std::vector<char> bytes_;
  std::size_t used_ = 0;
  std::vector<Step> steps_;  // steps_[i] describes the message with sequence number i + 1.
};

class Netlink {
 public:
  // Speaks to the network namespace of the calling thread at the time of the call.
  [[nodiscard]] static std::expected<Netlink, sys::SysError> open();

  // Runs every request even when one fails; returns the first failure.
  [[nodiscard]] std::expected<void, sys::SetupError> run(const NetlinkBatch& batch);

 private:
  explicit Netlink(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

// The index of an interface in the calling thread's network namespace.
[[nodiscard]] std::expected<std::uint32_t, sys::SysError> interface_index(const std::string& name);

}  // namespace sluice::netlink
