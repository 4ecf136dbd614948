#include "app/guest/brokers.h"

#include <fmt/core.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include "sys/sockaddr.h"

namespace sluice::app {
namespace {

// More are not tried.
constexpr std::size_t kAddressesMax = 8;

using Found = std::expected<std::vector<wire::Endpoint>, std::string>;

[[nodiscard]] Found look_up(const policy::Via& via) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(via.host.c_str(), nullptr, &hints, &list);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  if (error != 0) {
    return std::unexpected(fmt::format("via '{}': the host finds no such name: {}", to_string(via),
                                       ::gai_strerror(error)));
  }
  std::vector<wire::Endpoint> endpoints;
  for (const addrinfo* one = list; one != nullptr && endpoints.size() < kAddressesMax;
       one = one->ai_next) {
    sockaddr_storage storage{};
    const socklen_t length = std::min<socklen_t>(one->ai_addrlen, sizeof storage);
    std::memcpy(&storage, one->ai_addr, length);
    const auto endpoint = sys::from_sockaddr(storage, length);
    if (endpoint) endpoints.push_back({endpoint->address, via.port});
  }
  return endpoints;
}

}  // namespace

std::expected<void, std::string> find_brokers(policy::EgressDraft& draft) {
  std::map<std::string, std::vector<wire::Endpoint>> known;
  for (policy::DraftRule& rule : draft.rules) {
    if (!rule.rule.via || !rule.rule.via->endpoints.empty()) continue;
    policy::Via& via = *rule.rule.via;
    const auto [found, fresh] = known.try_emplace(via.host);
    if (fresh) {
      auto addresses = look_up(via);
      if (!addresses) return std::unexpected(std::move(addresses.error()));
      found->second = std::move(*addresses);
    }
    for (const wire::Endpoint& one : found->second) {
      via.endpoints.push_back({one.address, via.port});
    }
  }
  return {};
}

}  // namespace sluice::app
