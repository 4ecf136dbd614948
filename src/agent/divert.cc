#include "agent/divert.h"

#include <linux/netfilter/nf_tables.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

namespace sluice::agent {
namespace {

constexpr std::uint32_t kMark = 0x736c'7569;  // "slui"
constexpr std::uint32_t kRoutingTable = 0x736c;
// After the kernel's own rule for local addresses (0), before main (32766).
constexpr std::uint32_t kRulePreference = 100;
constexpr std::uint32_t kLoopbackIndex = 1;  // The kernel gives it to `lo` in every namespace.

// Connections of a family in one transaction: of both, they fit the buffer that a socket has when
// nobody has asked for more (net.core.wmem_default).
constexpr std::size_t kAtOnce = 1500;

constexpr const char* kTable = "sluice";
constexpr const char* kSet = "handed_over";
constexpr const char* kDivertChain = "divert";
constexpr const char* kReopenChain = "reopen";

// Since Linux 6.9, after our oldest headers: the table outlives its owner.
constexpr std::uint32_t kTablePersists = 0x4;

constexpr std::uint8_t kSynFlag = 0x02;
constexpr std::uint8_t kRstFlag = 0x04;
constexpr std::uint32_t kOffsetTcpFlags = 13;  // RFC 9293, 3.1.

netlink::NfObject set_of(wire::IpFamily family) { return {family, kTable, kSet}; }

// TCP packets that cross the interface and have exactly these of the masked flags. Those of other
// interfaces and protocols are sorted out first.
struct TcpFlagMatch {
  std::uint8_t mask;
  std::uint8_t value;
};
std::vector<netlink::NfStep> tcp_packets(netlink::NfMeta way, std::uint32_t interface,
                                         TcpFlagMatch flags) {
  return {
      netlink::NfLoadMeta{way, 0},
      netlink::NfRequireWord{interface, 0},
      netlink::NfLoadMeta{netlink::NfMeta::kTransportProtocol, 0},
      netlink::NfRequireByte{IPPROTO_TCP, 0},
      netlink::NfLoadBytes{netlink::NfHeader::kTransport, kOffsetTcpFlags, 1, 0},
      netlink::NfMaskByte{flags.mask, 0},
      netlink::NfRequireByte{flags.value, 0},
  };
}

// The guest's endpoint and the remote one, as NfKey has them, from register 0 on.
enum class GuestIs : std::uint8_t { kSource, kTarget };
void load_key(std::vector<netlink::NfStep>& steps, wire::IpFamily family, GuestIs guest) {
  const bool v4 = family == wire::IpFamily::kV4;
  const std::uint32_t size = v4 ? 4 : 16;
  const std::uint32_t source = v4 ? 12 : 8;  // RFC 791, 3.1; RFC 8200, 3.
  constexpr std::uint32_t kPortSize = 2;
  std::uint32_t to = 0;
  const auto load_endpoint = [&](std::uint32_t address, std::uint32_t port) {
    steps.push_back(netlink::NfLoadBytes{netlink::NfHeader::kNetwork, address, size, to});
    steps.push_back(
        netlink::NfLoadBytes{netlink::NfHeader::kTransport, port, kPortSize, to + size / 4});
    to += size / 4 + 1;
  };
  if (guest == GuestIs::kTarget) load_endpoint(source + size, kPortSize);
  load_endpoint(source, 0);
  if (guest == GuestIs::kSource) load_endpoint(source + size, kPortSize);
}

// To the loopback with what the guest sends, but for its RSTs: over the loopback one would overtake
// the data that is still on its way by the tap.
std::vector<netlink::NfStep> divert_rule(wire::IpFamily family, std::uint32_t interface) {
  auto steps = tcp_packets(netlink::NfMeta::kOutputInterface, interface,
                           {.mask = kSynFlag | kRstFlag, .value = 0});
  load_key(steps, family, GuestIs::kSource);
  steps.push_back(netlink::NfRequireInSet{kSet, 0});
  steps.push_back(netlink::NfLoadWord{kMark, 0});
  steps.push_back(netlink::NfSetMark{0});
  return steps;
}

// A SYN or SYN-ACK that comes by the tap begins a new connection of the same name: its packets go
// by the tap, from the very next one.
std::vector<netlink::NfStep> reopen_rule(wire::IpFamily family, std::uint32_t interface) {
  auto steps = tcp_packets(netlink::NfMeta::kInputInterface, interface,
                           {.mask = kSynFlag, .value = kSynFlag});
  load_key(steps, family, GuestIs::kTarget);
  steps.push_back(netlink::NfDeleteFromSet{kSet, 0});
  return steps;
}

sys::SetupError describe(const netlink::NfBatch& batch, const netlink::NfFailure& failure) {
  std::string hint;
  if (failure.error == EPROTONOSUPPORT || failure.error == EOPNOTSUPP || failure.error == ENOENT ||
      failure.error == EINVAL) {
    hint = "as root run: modprobe nf_tables (where it exists)";
  }
  return {batch.describe(failure.request), failure.error, std::move(hint)};
}

netlink::NfKey key_of(const DivertedConnection& connection) {
  return netlink::NfKey::of(connection.guest, connection.remote);
}

}  // namespace

std::expected<Divert, sys::SetupError> Divert::set_up(std::uint32_t interface,
                                                      std::span<const wire::IpFamily> families,
                                                      TableGuard guard) {
  auto netlink = netlink::Netlink::open();
  if (!netlink) {
    return std::unexpected(sys::SetupError{"open a netlink socket", netlink.error().error, ""});
  }
  auto tables = netlink::NfTables::open();
  if (!tables) {
    return std::unexpected(sys::SetupError{"nftables: open a netlink socket", tables.error().error,
                                           "as root run: modprobe nfnetlink (where it exists)"});
  }
  Divert divert(std::move(*netlink), std::move(*tables), interface);
  for (const wire::IpFamily family : families) divert.families_.push_back({family, {}, {}});

  if (auto done = divert.install_routes(); !done) return std::unexpected(done.error());
  // `nft flush ruleset`, as scripts of firewalls begin with, leaves tables with an owner alone. It
  // persists, so that connections go on should we die.
  if (guard == TableGuard::kOwner) divert.table_flags_ = NFT_TABLE_F_OWNER | kTablePersists;
  auto done = divert.install_tables();
  if (!done && done.error().error == EOPNOTSUPP && divert.table_flags_ != 0) {
    divert.table_flags_ = 0;
    done = divert.install_tables();
  }
  if (!done) return std::unexpected(done.error());
  return divert;
}

std::expected<void, sys::SetupError> Divert::install_routes() {
  netlink::NetlinkBatch batch;
  for (const Family& each : families_) {
    batch.add_local_route(each.family, kLoopbackIndex, kRoutingTable);
    batch.add_mark_rule(each.family, kMark, kRoutingTable, kRulePreference);
  }
  return netlink_.run(batch);
}

// As many connections as fit are in the transaction that makes the table anew.
std::expected<void, sys::SetupError> Divert::install_tables() {
  netlink::NfBatch batch;
  for (Family& each : families_) {
    const wire::IpFamily family = each.family;
    add_bare_table(batch, family);
    const netlink::NfObject divert{family, kTable, kDivertChain};
    batch.add_route_chain(divert);
    batch.add_rule(divert, divert_rule(family, interface_));
    const netlink::NfObject reopen{family, kTable, kReopenChain};
    batch.add_arrival_chain(reopen);
    batch.add_rule(reopen, reopen_rule(family, interface_));
    const auto at_once = static_cast<std::ptrdiff_t>(std::min(kAtOnce, each.keys.size()));
    const std::vector<netlink::NfKey> keys(each.keys.begin(),
                                           std::next(each.keys.begin(), at_once));
    batch.add_elements(set_of(family), keys);
    each.leftover.clear();
  }
  const auto failures = tables_.run(batch);
  if (!failures.empty()) return std::unexpected(describe(batch, failures.front()));
  resting_ = false;
  return install_rest();
}

// In place of the one that may be there.
void Divert::add_bare_table(netlink::NfBatch& batch, wire::IpFamily family) const {
  batch.ensure_table(family, kTable);
  batch.delete_table(family, kTable);
  batch.add_table(family, kTable, table_flags_);
  batch.add_set(set_of(family), kMostConnections);
}

void Divert::rest() {
  if (!can_rest()) return;
  netlink::NfBatch batch;
  for (Family& each : families_) {
    add_bare_table(batch, each.family);
    each.leftover.clear();
  }
  resting_ = tables_.run(batch).empty();
  may_not_rest_ = !resting_;
}

std::expected<void, sys::SetupError> Divert::install_rest() {
  for (const Family& each : families_) {
    if (each.keys.size() <= kAtOnce) continue;
    const std::vector<netlink::NfKey> keys(
        std::next(each.keys.begin(), static_cast<std::ptrdiff_t>(kAtOnce)), each.keys.end());
    for (std::size_t from = 0; from < keys.size(); from += kAtOnce) {
      netlink::NfBatch batch;
      batch.add_elements(set_of(each.family),
                         std::span(keys).subspan(from, std::min(kAtOnce, keys.size() - from)));
      const auto failures = tables_.run(batch);
      if (!failures.empty()) return std::unexpected(describe(batch, failures.front()));
    }
  }
  return {};
}

std::expected<void, sys::SetupError> Divert::repair() {
  if (auto done = install_routes(); !done) return done;
  return install_tables();
}

void Divert::remove() {
  netlink::NfBatch tables;
  netlink::NetlinkBatch routes;
  for (const Family& each : families_) {
    tables.ensure_table(each.family, kTable);
    tables.delete_table(each.family, kTable);
    routes.remove_mark_rule(each.family, kMark, kRoutingTable, kRulePreference);
    routes.remove_local_route(each.family, kLoopbackIndex, kRoutingTable);
  }
  // Where it is refused, the guest has made it its own.
  (void)tables_.run(tables);
  (void)netlink_.run(routes);
}

std::size_t Divert::size() const {
  std::size_t sum = 0;
  for (const Family& each : families_) sum += each.keys.size();
  return sum;
}

Divert::Family* Divert::find(const wire::Endpoint& endpoint) {
  const auto found = std::ranges::find(families_, endpoint.address.family(), &Family::family);
  return found == families_.end() ? nullptr : &*found;
}

std::vector<int> Divert::change(std::span<const DivertedConnection> removed,
                                std::span<const DivertedConnection> added) {
  for (const DivertedConnection& connection : removed) {
    Family* const family = find(connection.guest);
    const netlink::NfKey key = key_of(connection);
    if (family != nullptr && family->keys.erase(key) != 0) family->leftover.push_back(key);
  }
  may_not_rest_ = false;
  std::vector<int> errors(added.size(), 0);
  if (resting_ && !added.empty()) {
    if (const auto done = install_tables(); !done) {
      std::ranges::fill(errors, done.error().error);
      return errors;
    }
  }
  std::size_t room = kMostConnections - std::min(kMostConnections, size());
  for (std::size_t i = 0; i < added.size(); ++i) {
    if (find(added[i].guest) == nullptr) {
      errors[i] = EAFNOSUPPORT;
    } else if (room == 0) {
      errors[i] = ENOSPC;
    } else {
      --room;
    }
  }
  while (!change_once(added, errors)) {
  }
  for (std::size_t i = 0; i < added.size(); ++i) {
    if (errors[i] == 0) find(added[i].guest)->keys.insert(key_of(added[i]));
  }
  return errors;
}

bool Divert::change_once(std::span<const DivertedConnection> added, std::span<int> errors) {
  netlink::NfBatch batch;
  for (const Family& each : families_) {
    for (const netlink::NfKey& key : each.leftover) batch.delete_element(set_of(each.family), key);
  }
  std::vector<std::size_t> asked;  // asked[i]: which one of `added` the i-th addition is.
  const std::size_t first_addition = batch.size();
  for (std::size_t i = 0; i < added.size(); ++i) {
    if (errors[i] != 0) continue;
    asked.push_back(i);
    batch.add_element(set_of(added[i].guest.address.family()), key_of(added[i]));
  }
  const auto failures = tables_.run(batch);
  if (failures.empty()) {
    for (Family& each : families_) each.leftover.clear();
    return true;
  }
  bool told_apart = false;
  for (const netlink::NfFailure& failure : failures) {
    if (failure.request == netlink::NfFailure::kWhole) continue;
    told_apart = true;
    if (failure.request >= first_addition) {
      errors[asked[failure.request - first_addition]] = failure.error;
    }
  }
  if (told_apart) {
    forget_leftovers(failures);
    return false;
  }
  for (const std::size_t i : asked) errors[i] = failures.front().error;
  return true;
}

// What could not be taken out by itself is not in: ENOENT.
void Divert::forget_leftovers(std::span<const netlink::NfFailure> failures) {
  std::size_t request = 0;
  for (Family& each : families_) {
    std::vector<netlink::NfKey> kept;
    for (const netlink::NfKey& key : each.leftover) {
      if (std::ranges::find(failures, request, &netlink::NfFailure::request) == failures.end())
        kept.push_back(key);
      ++request;
    }
    each.leftover = std::move(kept);
  }
}

}  // namespace sluice::agent
