// By whom an allowed flow is led: a broker or a parent proxy, which is told the name and connects
// in our place. Plain values.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "policy/rule.h"
#include "wire/address.h"

namespace sluice::policy {

// How it is told the name.
enum class ViaProtocol : std::uint8_t {
  kConnect,  // CONNECT name:port of HTTP/1.1, and an answer to wait for.
  kProxy,    // A header of PROXY version 2, with the name as its authority.
};

struct Via {
  ViaProtocol protocol = ViaProtocol::kConnect;
  std::string host{};  // A name of the host's, or an address.
  wire::Port port{};
  // Where that is, in the order in which they are tried. Filled in by who may resolve names.
  std::vector<wire::Endpoint> endpoints{};

  // By what a person wrote: two that are the same lead to the same.
  friend bool operator==(const Via& a, const Via& b) {
    return a.protocol == b.protocol && a.host == b.host && a.port == b.port;
  }
};

// "connect:proxy.corp.example:3128" or "proxy:[::1]:9000".
[[nodiscard]] std::expected<Via, RuleError> parse_via(std::string_view text);
// The text that parses to the same.
[[nodiscard]] std::string to_string(const Via& via);

}  // namespace sluice::policy
