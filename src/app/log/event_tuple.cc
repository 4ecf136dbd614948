#include "app/log/event_tuple.h"

#include <charconv>
#include <utility>

namespace sluice::app {
namespace {

std::uint8_t protocol_number(const std::string& proto, bool v4) {
  if (proto == "tcp") return 6;
  if (proto == "udp") return 17;
  if (proto == "icmp") return v4 ? 1 : 58;
  return 0;
}

}  // namespace

std::optional<EventTuple> tuple_of(const telemetry::SeenEvent& event) {
  if (event.flow.empty()) return std::nullopt;
  const auto guest = wire::parse_ip(event.guest);
  const auto peer = wire::parse_ip(event.address);
  if (!guest || !peer) return std::nullopt;
  EventTuple tuple{.flow = {.protocol = protocol_number(event.proto, guest->is_v4()),
                            .source = {*guest, {event.guest_port}},
                            .destination = {*peer, {event.port}}},
                   .bytes_by_source = event.bytes_to_host,
                   .bytes_by_destination = event.bytes_to_guest};
  if (tuple.flow.protocol == 0) return std::nullopt;
  if (event.direction == "in") {
    std::swap(tuple.flow.source, tuple.flow.destination);
    std::swap(tuple.bytes_by_source, tuple.bytes_by_destination);
  }
  return tuple;
}

std::uint64_t flow_number_of(const telemetry::SeenEvent& event) {
  std::uint64_t number = 0;
  const char* const end = event.flow.data() + event.flow.size();
  const auto [stop, error] = std::from_chars(event.flow.data(), end, number, 16);
  return error == std::errc{} && stop == end ? number : 0;
}

}  // namespace sluice::app
