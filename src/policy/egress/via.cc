#include "policy/egress/via.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>

#include "policy/parse_number.h"

namespace sluice::policy {
namespace {

constexpr std::string_view kConnectWord = "connect:";
constexpr std::string_view kProxyWord = "proxy:";
constexpr std::size_t kHostMax = 253;

[[nodiscard]] bool is_of_host(char c) {
  const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return letter || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

}  // namespace

std::expected<Via, RuleError> parse_via(std::string_view text) {
  const std::unexpected wrong(
      RuleError{"\"connect:HOST:PORT\" for a proxy of HTTP, or \"proxy:HOST:PORT\" for one that "
                "takes the PROXY protocol"});
  Via via;
  if (text.starts_with(kConnectWord)) {
    text.remove_prefix(kConnectWord.size());
  } else if (text.starts_with(kProxyWord)) {
    via.protocol = ViaProtocol::kProxy;
    text.remove_prefix(kProxyWord.size());
  } else {
    return wrong;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong;
  const auto port = parse_port_number(text.substr(colon + 1));
  if (!port) return wrong;
  via.port = wire::Port{*port};
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
    const auto address = wire::parse_ip(host);
    if (!address || address->is_v4()) return wrong;
  } else if (host.empty() || host.size() > kHostMax || !std::ranges::all_of(host, is_of_host)) {
    return wrong;
  }
  via.host = host;
  if (const auto address = wire::parse_ip(host)) via.endpoints = {{*address, via.port}};
  return via;
}

std::string to_string(const Via& via) {
  const bool v6 = via.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}{}:{}",
                     via.protocol == ViaProtocol::kConnect ? kConnectWord : kProxyWord,
                     v6 ? "[" : "", via.host, v6 ? "]" : "", via.port.value);
}

}  // namespace sluice::policy
