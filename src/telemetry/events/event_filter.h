// Which events somebody wants to see. The same words everywhere: as options of `sluice observe`,
// and as one line of text:
//
//   denied name=*.example.org proto=tcp port=443,8000-8080
//
// Of one kind any may hold ("port=80 port=443"); of different kinds all must.
//
//   denied         refused, or ended by a limit or a new policy
//   type=deny      the event's type
//   name=PATTERN   example.org: that name; *.example.org: names below it, of any depth;
//                  .example.org: both; api-*.example.org: one star in the leftmost label; *: any
//                  flow that has a name
//   proto=tcp      tcp, udp or icmp
//   port=PORTS     of the other end: 80, 80-90 or 22,80-90
//   peer=CIDR      its address
//   reason=quota   as in docs/events.md
//   flow=NUMBER    one flow, from its beginning to its end
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "policy/rule.h"
#include "telemetry/events/seen_event.h"
#include "wire/address.h"

namespace sluice::telemetry {

class EventFilter {
 public:
  // A kind of those above, with its value. The error is a sentence's end: "'x' is not a protocol;
  // expected tcp, udp or icmp".
  [[nodiscard]] std::expected<void, std::string> add(std::string_view kind, std::string_view value);
  // All of a line of words.
  [[nodiscard]] static std::expected<EventFilter, std::string> parse(std::string_view text);
  void want_denied() { denied_ = true; }

  // Without a word of the above everything is wanted. What says that events are lost is so always.
  [[nodiscard]] bool wants(const SeenEvent& event) const;

 private:
  [[nodiscard]] std::expected<void, std::string> add_proto(std::string_view value);
  [[nodiscard]] std::expected<void, std::string> add_ports(std::string_view value);
  [[nodiscard]] std::expected<void, std::string> add_peer(std::string_view value);
  [[nodiscard]] bool wants_port(std::uint16_t port) const;
  [[nodiscard]] bool wants_name(const std::string& name) const;
  [[nodiscard]] bool wants_peer(const std::string& address) const;

  bool denied_ = false;
  std::vector<std::string> types_;
  std::vector<std::string> names_;  // Lower case, without a dot at the end.
  std::vector<std::string> protos_;
  std::vector<policy::PortRange> ports_;
  std::vector<wire::Prefix> peers_;
  std::vector<std::string> reasons_;
  std::vector<std::string> flows_;
};

// Of the patterns above; the case of letters and a dot at the end make no difference.
[[nodiscard]] bool name_matches(std::string_view pattern, std::string_view name);

}  // namespace sluice::telemetry
