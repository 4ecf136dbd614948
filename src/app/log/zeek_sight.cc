// Zeek's dns.log and ssl.log: https://docs.zeek.org/en/master/logs/dns.html and logs/ssl.html. What
// we do not know of a question or of a connection is left out of the fields.
#include <fmt/format.h>

#include <array>

#include "app/log/event_tuple.h"
#include "app/log/formats.h"
#include "app/log/zeek_text.h"
#include "telemetry/events/dns_text.h"

namespace sluice::app {
namespace {

using telemetry::SeenEvent;
using zeek::Field;

constexpr std::array kDnsFields{
    Field{"ts", "time"},
    Field{"query", "string"},
    Field{"qtype", "count"},
    Field{"qtype_name", "string"},
    Field{"rcode", "count"},
    Field{"rcode_name", "string"},
    Field{"rejected", "bool"},
    Field{"sluice_addresses", "count"},
    Field{"sluice_result", "string"},
    Field{"sluice_source", "string"},
    Field{"sluice_reason", "string"},
    Field{"sluice_rule", "string"},
};
constexpr std::array kSslFields{
    Field{"ts", "time"},
    Field{"uid", "string"},
    Field{"id.orig_h", "addr"},
    Field{"id.orig_p", "port"},
    Field{"id.resp_h", "addr"},
    Field{"id.resp_p", "port"},
    Field{"server_name", "string"},
    Field{"sluice_ech", "bool"},
    Field{"sluice_result", "string"},
    Field{"sluice_reason", "string"},
    Field{"sluice_rule", "string"},
};

std::string number(const std::optional<std::uint16_t>& value) {
  return value ? fmt::to_string(*value) : "-";
}

}  // namespace

std::string zeek_dns_head() { return zeek::head("dns", kDnsFields); }

std::optional<std::string> zeek_dns_line(const SeenEvent& event) {
  if (event.type != "dns" || event.query.empty()) return std::nullopt;
  const bool refused = event.result == "refused";
  return fmt::format("{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
                     zeek::seconds(event.time.time_since_epoch()), zeek::field(event.name),
                     number(telemetry::dns_type_number(event.query)), zeek::field(event.query),
                     number(telemetry::dns_rcode_number(event.rcode)), zeek::field(event.rcode),
                     refused ? 'T' : 'F', event.addresses, zeek::field(event.result),
                     zeek::field(event.source), zeek::field(event.reason), zeek::field(event.rule));
}

std::string zeek_ssl_head() { return zeek::head("ssl", kSslFields); }

std::optional<std::string> zeek_ssl_line(const SeenEvent& event) {
  const auto tuple = tuple_of(event);
  if (!tuple || event.type != "gate" || event.kind != "tls") return std::nullopt;
  return fmt::format(
      "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}", zeek::seconds(event.time.time_since_epoch()),
      zeek::uid_of(flow_number_of(event)), wire::to_string(tuple->flow.source.address),
      tuple->flow.source.port.value, wire::to_string(tuple->flow.destination.address),
      tuple->flow.destination.port.value, zeek::field(event.name), event.ech ? 'T' : 'F',
      zeek::field(event.result), zeek::field(event.reason), zeek::field(event.rule));
}

}  // namespace sluice::app
