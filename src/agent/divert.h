// Which of the guest's packets its kernel turns from the tap to the loopback, and so to sockets of
// ours that stand there for remote hosts.
//
//   table ip sluice {
//     set handed_over { type ipv4_addr . inet_service . ipv4_addr . inet_service }
//     chain divert {
//       type route hook output priority mangle; policy accept;
//       oif TAP tcp flags & syn == 0 ip saddr . tcp sport . ip daddr . tcp dport @handed_over
//         meta mark set 0x736c7569
//     }
//     chain reopen {
//       type filter hook prerouting priority mangle; policy accept;
//       iif TAP tcp flags & syn == syn delete @handed_over { ip daddr . tcp dport . … }
//     }
//   }
//   ip rule: from all fwmark 0x736c7569 lookup 29548;  in that table: local default dev lo
//
// and the same for IPv6. A SYN is never turned: it begins a connection that we do not have yet. One
// that comes from the tap, or a SYN-ACK, ends what its name stood for before.
// Needs CAP_NET_ADMIN in the network namespace. Not thread-safe.
#pragma once

#include <cstdint>
#include <expected>
#include <set>
#include <span>
#include <vector>

#include "netlink/netlink.h"
#include "netlink/nf_tables.h"
#include "sys/setup_error.h"
#include "wire/address.h"

namespace sluice::agent {

struct DivertedConnection {
  wire::Endpoint guest;
  wire::Endpoint remote;

  friend bool operator==(const DivertedConnection&, const DivertedConnection&) = default;
};

// Who may change the tables.
enum class TableGuard : std::uint8_t {
  kOwner,  // We alone, where the kernel knows owners.
  kNone,   // Whoever is root in the guest.
};

class Divert {
 public:
  // More connections than a guest has, and a bound for what it can make the kernel hold.
  static constexpr std::size_t kMostConnections = 200'000;

  // `interface` is the index of the tap.
  [[nodiscard]] static std::expected<Divert, sys::SetupError> set_up(
      std::uint32_t interface, std::span<const wire::IpFamily> families,
      TableGuard guard = TableGuard::kOwner);

  // Takes away and adds, in this order and in one transaction. Returns an errno for each of
  // `added`, 0 when it is in. What is taken away is gone for repair() whatever happens.
  [[nodiscard]] std::vector<int> change(std::span<const DivertedConnection> removed,
                                        std::span<const DivertedConnection> added);

  // Puts everything back as it should be.
  [[nodiscard]] std::expected<void, sys::SetupError> repair();

  // Leaves nothing behind: for a namespace that goes on without us. What is diverted is by the tap
  // again.
  void remove();

  [[nodiscard]] std::size_t size() const;

  // Takes the chains away, which every packet of the guest's pays for. The next change() that adds
  // brings them back.
  void rest();
  [[nodiscard]] bool can_rest() const { return !resting_ && !may_not_rest_ && size() == 0; }

 private:
  struct Family {
    wire::IpFamily family;
    std::set<netlink::NfKey> keys;         // What should be in the set.
    std::vector<netlink::NfKey> leftover;  // What should not, but could not be taken out.
  };
  Divert(netlink::Netlink netlink, netlink::NfTables tables, std::uint32_t interface)
      : netlink_(std::move(netlink)), tables_(std::move(tables)), interface_(interface) {}

  // One try of change(). What fails by itself gets its error, or is forgotten, and is left out of
  // the next try. Returns whether there is nothing left to try.
  [[nodiscard]] bool change_once(std::span<const DivertedConnection> added, std::span<int> errors);
  void forget_leftovers(std::span<const netlink::NfFailure> failures);
  [[nodiscard]] Family* find(const wire::Endpoint& endpoint);
  [[nodiscard]] std::expected<void, sys::SetupError> install_routes();
  [[nodiscard]] std::expected<void, sys::SetupError> install_tables();
  [[nodiscard]] std::expected<void, sys::SetupError> install_rest();
  void add_bare_table(netlink::NfBatch& batch, wire::IpFamily family) const;

  netlink::Netlink netlink_;
  netlink::NfTables tables_;
  std::uint32_t interface_;
  std::uint32_t table_flags_ = 0;
  std::vector<Family> families_;
  bool resting_ = false;
  bool may_not_rest_ = false;  // It failed; again only after the next change.
};

}  // namespace sluice::agent
