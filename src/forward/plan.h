// What a port forwarder is asked to do: plain values, as a command line or a configuration file
// gives them, with defaults filled in and every value checked. Nothing here is resolved, opened or
// counted. A plan is immutable once made; threads share it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "policy/access_list.h"
#include "policy/protocol.h"
#include "relay/options.h"
#include "wire/address.h"
#include "wire/transport/proxy_protocol.h"

namespace sluice::forward {

// Where in a file something stood. Line 0: nowhere, it came from the command line.
struct Source {
  std::string file;
  unsigned line = 0;
  friend bool operator==(const Source&, const Source&) = default;
};

// A place to listen on or to connect to, as it was written.
struct Place {
  policy::Protocol protocol = policy::Protocol::kTcp;  // kTcp or kUdp
  // A name, or an address without brackets, as fe80::1%eth0 if link-local; "" and "*": every
  // address (to listen on), the loopback (to connect to). Unused when `path` is set.
  std::string host{};
  std::uint16_t port = 0;
  std::uint16_t port_count = 1;  // A range of ports; of a listener and its targets the same.
  // The interface that a link-local `host` names behind its '%', looked up when it was read: one
  // that was made anew makes another place of the same text.
  std::uint32_t scope_id = 0;
  std::string path{};  // A UNIX stream socket; '@' first: the abstract namespace.
  // A socket that systemd opened (LISTEN_FDNAMES), or its number from 0 as text. Listeners only.
  std::string inherited{};
  friend bool operator==(const Place&, const Place&) = default;

  [[nodiscard]] bool is_unix() const { return !path.empty(); }
  // `host` without its interface, unless it is a name.
  [[nodiscard]] std::optional<wire::IpAddress> literal() const;
};

struct Target {
  Place place;
  std::uint32_t weight = 1;  // 0: only when no other target is up.
  friend bool operator==(const Target&, const Target&) = default;
};

enum class Balance : std::uint8_t { kRoundRobin, kLeastConnections, kClientHash };

// Accepting: whether a client must begin with a header. Sending: whether we do.
enum class ProxyIn : std::uint8_t { kOff, kRequired };
enum class ProxyOut : std::uint8_t { kOff, kV1, kV2 };

// How datagrams are put into a stream when a rule crosses protocols.
enum class Framing : std::uint8_t {
  kNone,      // As oi does: one read is one datagram, one datagram is one write.
  kLength16,  // Each datagram behind its length: 2 bytes, big-endian (as DNS, RFC 1035, 4.2.2).
};

// Zero means "no bound". A rate is bytes a second.
struct LimitPlan {
  std::uint32_t connections = 0;
  std::uint32_t new_per_second = 0;
  std::uint64_t to_target_rate = 0;
  std::uint64_t to_client_rate = 0;
  friend bool operator==(const LimitPlan&, const LimitPlan&) = default;

  [[nodiscard]] bool any() const { return *this != LimitPlan{}; }
};

// Zero means "never" except for `connect` and `udp_session`, which are always above zero.
struct TimeoutPlan {
  Duration connect = std::chrono::seconds{10};
  Duration idle{};                                  // No byte either way.
  Duration half_closed = std::chrono::minutes{10};  // One direction has ended, the other is idle.
  Duration udp_session = std::chrono::seconds{72};  // No datagram either way.
  Duration proxy_header = std::chrono::seconds{5};  // Until a client's PROXY header is whole.
  friend bool operator==(const TimeoutPlan&, const TimeoutPlan&) = default;
};

struct HealthPlan {
  bool enabled = false;
  Duration interval = std::chrono::seconds{2};
  Duration timeout = std::chrono::seconds{2};
  std::uint32_t rise = 2;  // This many successes in a row: up.
  std::uint32_t fall = 3;  // This many failures in a row: down.
  friend bool operator==(const HealthPlan&, const HealthPlan&) = default;
};

struct KeepAlivePlan {
  bool enabled = true;
  std::uint32_t idle_seconds = 0;  // 0: the system's default; likewise the next two.
  std::uint32_t interval_seconds = 0;
  std::uint32_t count = 0;
  friend bool operator==(const KeepAlivePlan&, const KeepAlivePlan&) = default;
};

struct SocketPlan {
  std::string listen_device;              // SO_BINDTODEVICE; empty: any.
  std::string target_device;              // likewise, of connections to targets
  std::optional<std::uint32_t> mark;      // SO_MARK of connections to targets
  std::optional<wire::IpAddress> source;  // The address to connect from.
  bool transparent = false;               // Connect from the client's own address and port.
  bool fast_open = false;                 // TCP Fast Open on both sides.
  bool multipath = false;                 // MPTCP on both sides.
  std::uint32_t receive_buffer = 0;       // SO_RCVBUF in bytes; 0: the kernel's auto-tuning.
  std::uint32_t send_buffer = 0;
  KeepAlivePlan keepalive;
  friend bool operator==(const SocketPlan&, const SocketPlan&) = default;
};

struct Rule {
  std::string name;  // In logs and counters; the listener as text when none was given.
  Source where;      // Not compared: a rule that moved in its file is the same rule.
  Place listen;
  std::vector<Target> targets;  // At least one; all of one protocol.
  Balance balance = Balance::kRoundRobin;
  policy::AccessList access;  // The rule's own; the plan has the global one.
  LimitPlan limits;           // Of the rule as a whole.
  LimitPlan client_limits;    // Of each client address.
  TimeoutPlan timeouts;
  HealthPlan health;
  ProxyIn proxy_in = ProxyIn::kOff;
  std::vector<policy::AddressPattern>
      proxy_from;  // Who may send a header; empty: whoever connects.
  ProxyOut proxy_out = ProxyOut::kOff;
  Framing framing = Framing::kNone;
  SocketPlan socket;
  std::optional<relay::Mode> relay;  // Nothing: the plan's.

  // Equal in all that it does: such a rule goes on untouched over a reload.
  [[nodiscard]] bool same_as(const Rule& other) const;
  // Stream or datagrams on each side.
  [[nodiscard]] bool listens_udp() const { return listen.protocol == policy::Protocol::kUdp; }
  [[nodiscard]] bool targets_udp() const {
    return targets.front().place.protocol == policy::Protocol::kUdp;
  }
};

enum class LogFormat : std::uint8_t { kRinetd, kCommon, kJson };

struct Plan {
  std::vector<Rule> rules;
  policy::AccessList access;  // Global: of every rule.
  std::string log_file;       // Empty: none. "-": standard output.
  LogFormat log_format = LogFormat::kRinetd;
  std::string pid_file;  // Empty: none.
  relay::Options relay;
  std::uint32_t workers = 0;                          // 0: one for each core we may run on.
  Duration drain_timeout = std::chrono::seconds{30};  // 0: for ever.
};

// "tcp://10.0.0.1:80", "udp://[::]:53", "tcp://db.example:8000-8009", "unix:/run/x.sock".
[[nodiscard]] std::string to_string(const Place& place);
// The name by which logs and the settings speak of it.
[[nodiscard]] std::string_view to_string(Balance balance);
[[nodiscard]] std::string_view to_string(LogFormat format);

}  // namespace sluice::forward
