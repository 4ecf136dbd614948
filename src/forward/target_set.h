// The targets of a rule: which is next, which are up, at which addresses. Shared by all workers
// and by the supervisor, which resolves names and checks health; safe from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "forward/plan.h"
#include "wire/address.h"

namespace sluice::forward {

// Where to connect to now.
struct Destination {
  std::uint32_t target = 0;            // Position in Rule::targets.
  std::optional<wire::Endpoint> inet;  // Nothing: `path`.
  std::string_view path;               // A UNIX socket; lives as long as the set.
};

// What one session has tried so far. Small: each connection has one.
struct Attempt {
  wire::IpAddress client;
  std::uint16_t port_offset = 0;  // Into a range of ports.
  std::uint16_t tries = 0;
  std::uint32_t target = 0;
  std::uint32_t address = 0;
};

class TargetSet {
 public:
  // Literal addresses and UNIX paths are known at once; "" is the loopback of IPv4 and IPv6; names
  // have no address until set_addresses().
  explicit TargetSet(const Rule& rule);

  // By the rule's balance among the targets that are up (if none is, among all), with an address.
  // Nothing: no target has one. The target counts as in use until ended().
  [[nodiscard]] std::optional<Destination> first(Attempt& attempt);
  // The one before failed (which ended it): another address of that target, then other targets,
  // each once. Nothing: all were tried.
  [[nodiscard]] std::optional<Destination> next(Attempt& attempt);
  void ended(std::uint32_t target);

  // Of names: the host part of each target that is one, with its position.
  [[nodiscard]] bool is_name(std::uint32_t target) const;
  void set_addresses(std::uint32_t target, std::vector<wire::IpAddress> addresses);
  [[nodiscard]] std::vector<wire::IpAddress> addresses(std::uint32_t target) const;

  void set_up(std::uint32_t target, bool up);
  [[nodiscard]] bool up(std::uint32_t target) const;
  [[nodiscard]] std::uint32_t active(std::uint32_t target) const;
  [[nodiscard]] std::size_t size() const;
};

}  // namespace sluice::forward
