#include "serve/learn/usage_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace sluice::serve {
namespace {

using Json = nlohmann::json;
using telemetry::Usage;

[[nodiscard]] std::string dump(const Json& object) {
  return object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

[[nodiscard]] Json object_of(const Usage::Key& key, const Usage::Row& row) {
  Json addresses = Json::array();
  for (const wire::IpAddress& address : row.private_addresses) {
    addresses.push_back(wire::to_string(address));
  }
  return {{"host", key.host},
          {"named", key.is_name},
          {"port", key.port},
          {"protocol", static_cast<unsigned>(key.protocol)},
          {"flows", row.flows},
          {"failed", row.failed},
          {"out", row.bytes_to_host},
          {"in", row.bytes_to_guest},
          {"private", std::move(addresses)}};
}

// Written by us a moment ago.
void add_row(const Json& object, Usage& usage) {
  const Usage::Key key{
      .host = object.at("host").get<std::string>(),
      .is_name = object.at("named").get<bool>(),
      .port = object.at("port").get<std::uint16_t>(),
      .protocol = static_cast<policy::Protocol>(object.at("protocol").get<std::uint8_t>())};
  Usage::Row& row = usage.rows()[key];
  row.flows = object.at("flows").get<std::uint64_t>();
  row.failed = object.at("failed").get<std::uint64_t>();
  row.bytes_to_host = object.at("out").get<std::uint64_t>();
  row.bytes_to_guest = object.at("in").get<std::uint64_t>();
  for (const Json& text : object.at("private")) {
    if (const auto address = wire::parse_ip(text.get<std::string>())) {
      row.private_addresses.push_back(*address);
    }
  }
}

}  // namespace

std::string usage_lines(const Usage& usage) {
  std::string lines;
  for (const auto& [key, row] : usage.rows()) lines += dump(object_of(key, row));
  return lines + dump({{"end", true}, {"left_out", usage.left_out()}});
}

std::expected<Usage, std::string> read_usage(std::string_view lines) {
  Usage usage;
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(line.size() + 1, lines.size()));
    const Json object = Json::parse(line, nullptr, false);
    if (!object.is_object()) break;
    if (object.contains("end")) {
      usage.leave_out(object.at("left_out").get<std::uint64_t>());
      return usage;
    }
    add_row(object, usage);
  }
  return std::unexpected("the run was cut off before it told whom the guest talked to");
}

}  // namespace sluice::serve
