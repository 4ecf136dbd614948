// The targets of a rule: which is next, which are up, at which addresses. Shared by all workers
// and by the supervisor, which resolves names and checks health; safe from any thread.
//
// The choice goes by tiers, and by the rule's balance within a tier:
//   1. up                              3. up, but a connect failed less than kAvoidFor ago
//   2. up, a backup (weight 0)         4. likewise, a backup
//   5. to 8. the same of those that health checks found down
// So a target that is down or has just failed is only tried when nothing better is left.
//
// A rule with one target at one literal address, the common case, takes no lock. Others take a
// short one for each connection, never for its bytes.
#pragma once

#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "forward/plan.h"
#include "forward/target/balancer.h"
#include "wire/address.h"

namespace sluice::forward {

// Where to connect to now.
struct Destination {
  std::uint32_t target = 0;            // Position in Rule::targets.
  std::optional<wire::Endpoint> inet;  // Nothing: `path`.
  std::uint32_t scope_id = 0;          // The interface of a link-local address.
  std::string_view path;               // A UNIX socket; lives as long as the set.
  bool others = false;                 // The target has addresses that were not tried yet.
};

// What one session has tried so far. Small: each connection has one.
struct Attempt {
  wire::IpAddress client{};
  std::uint16_t port_offset = 0;  // Into a range of ports.
  std::uint32_t target = 0;
  std::uint32_t address = 0;  // The position of the latest of `target`'s addresses.
  // A bit for each position tried: 64 addresses of a target at most.
  std::uint64_t addresses_tried = 0;
  [[nodiscard]] bool is_first_address() const { return std::has_single_bit(addresses_tried); }
  // A bit for each target tried, by its position modulo 64: of a rule with more targets, a session
  // tries 64 at most, and none twice.
  std::uint64_t tried = 0;
};

class TargetSet {
 public:
  // A target, or an address of it, that could not be connected to is tried last for so long. A
  // target that answers again is missed no longer than this; one that swallows packets costs one
  // connection its timeout in this time.
  static constexpr Duration kAvoidFor = std::chrono::seconds{2};

  // Literal addresses and UNIX paths are known at once; "" and "*" are the loopback of IPv4, then
  // of IPv6; names have no address until set_addresses().
  explicit TargetSet(const Rule& rule);

  // By the rule's balance among the best tier with an address. Nothing: no target has one. The
  // target counts as in use until ended(). Of several addresses, those of the first one's family
  // take turns and the others are for failover; the loopback's always begin with IPv4.
  [[nodiscard]] std::optional<Destination> first(Attempt& attempt, Instant now);
  // Connecting to the one before failed (which ended it): another address of that target, then
  // other targets, each once. Nothing: all were tried.
  [[nodiscard]] std::optional<Destination> next(Attempt& attempt, Instant now);
  // The two halves of next(), for those who try several addresses side by side. Another address of
  // the same target; families take turns, since it is often one of them that leads nowhere
  // (RFC 8305 section 4), and those set back are last.
  [[nodiscard]] std::optional<Destination> beside(Attempt& attempt, Instant now);
  // All addresses of the target failed (which ended it): another target.
  [[nodiscard]] std::optional<Destination> next_target(Attempt& attempt, Instant now);
  // The address at this position is tried last for kAvoidFor.
  void set_back(std::uint32_t target, std::uint32_t address, Instant now);
  void ended(std::uint32_t target);

  // Of names: the host part of each target that is one, with its position.
  [[nodiscard]] bool is_name(std::uint32_t target) const;
  // In order of preference. Only for names.
  void set_addresses(std::uint32_t target, const std::vector<wire::IpAddress>& addresses);
  [[nodiscard]] std::vector<wire::IpAddress> addresses(std::uint32_t target) const;

  void set_up(std::uint32_t target, bool up);
  [[nodiscard]] bool up(std::uint32_t target) const;
  [[nodiscard]] std::uint32_t active(std::uint32_t target) const;
  [[nodiscard]] std::size_t size() const { return states_.size(); }

 private:
  enum class Kind : std::uint8_t { kPath, kLiteral, kLoopback, kName };

  struct Address {
    wire::IpAddress ip;
    Instant avoid_until = Instant::min();
  };

  // Workers write the counters of one target without disturbing those who read another's.
  struct alignas(64) State {
    Kind kind = Kind::kPath;
    std::uint16_t port = 0;
    bool port_range = false;
    bool backup = false;
    wire::IpAddress literal;  // Of kLiteral, with its interface.
    std::uint32_t scope_id = 0;
    std::string path;

    std::atomic<std::uint32_t> active{0};
    std::atomic<bool> up{true};
    std::atomic<bool> has_address{false};
    std::atomic<Instant::rep> avoid_until_ns{Instant::min().time_since_epoch().count()};

    mutable std::mutex mutex;  // For what follows: of kLoopback and kName.
    std::vector<Address> addresses;
    std::uint32_t rotation = 0;
  };

  static void describe(const Place& place, State& state);
  static void avoid(State& state, Instant until);
  [[nodiscard]] static std::uint32_t starting_address(State& state, Instant now);

  [[nodiscard]] std::optional<Destination> pick(Attempt& attempt, Instant now);
  // The best tier's targets that were not tried, as the balancer takes them; empty: none is left.
  void candidates(const Attempt& attempt, Instant now, std::vector<Candidate>& out) const;
  // Its session is counted already; given back when it has no address after all.
  [[nodiscard]] std::optional<Destination> begin(std::uint32_t target, Attempt& attempt,
                                                 Instant now);
  [[nodiscard]] static Destination at(const State& state, const Attempt& attempt,
                                      const wire::IpAddress& address);

  std::vector<State> states_;
  std::mutex mutex_;  // For what follows.
  Balancer balancer_;
  std::vector<Candidate> candidates_;  // Kept to spare an allocation for each connection.
};

}  // namespace sluice::forward
