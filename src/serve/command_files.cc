#include "serve/command_files.h"

#include <fmt/format.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

#include "netns/files/hosts_file.h"
#include "netns/files/ssh_files.h"
#include "netns/namespaces.h"

namespace sluice::serve {
namespace {

constexpr const char* kHostsPath = "/etc/hosts";

std::string guest_hosts(const flow::GuestNetwork& network) {
  std::ifstream file(kHostsPath);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::array<char, HOST_NAME_MAX + 1> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name.front() == '\0') return text;
  std::vector<wire::IpAddress> addresses;
  if (network.ipv4) addresses.push_back(network.guest_v4);
  if (network.ipv6) addresses.push_back(network.guest_v6);
  return netns::hosts_with(text, name.data(), addresses);
}

// As EgressPolicy::names_decide() will.
bool names_decide(const policy::EgressDraft& policy) {
  return policy.fallback != policy::Effect::kAllow ||
         std::ranges::any_of(policy.rules, [](const policy::DraftRule& rule) {
           return rule.target.name() != nullptr || rule.rule.effect == policy::Effect::kAsk;
         });
}

}  // namespace

std::string resolv_conf_for(const flow::GuestNetwork& network,
                            const std::vector<std::string>& options) {
  std::string text = "# Made by sluice: its DNS relay asks the host's resolvers.\n";
  if (network.ipv4) text += fmt::format("nameserver {}\n", wire::to_string(network.dns_v4));
  if (network.ipv6) text += fmt::format("nameserver {}\n", wire::to_string(network.dns_v6));
  if (!network.search_domains.empty()) {
    text += fmt::format("search {}\n", fmt::join(network.search_domains, " "));
  }
  if (!options.empty()) text += fmt::format("options {}\n", fmt::join(options, " "));
  return text;
}

std::vector<std::string> command_environment(const policy::EgressDraft& policy) {
  if (!policy.dns.pages || !names_decide(policy)) return {};
  return {"SLUICE_POLICY_URL=http://sluice.internal/"};
}

std::vector<std::string> resolver_options_for(const policy::EgressDraft& policy,
                                              std::vector<std::string> host) {
  // Of an option that is there twice the last counts (resolv.conf(5)).
  if (names_decide(policy)) host.insert(host.end(), {"edns0", "ndots:1"});
  return host;
}

std::vector<netns::GuestFile> command_files(const flow::GuestNetwork& network,
                                            const std::vector<std::string>& resolver_options) {
  std::vector<netns::GuestFile> files;
  if (netns::needs_user_namespace()) files = netns::included_ssh_files();
  files.push_back({kHostsPath, guest_hosts(network)});
  if (network.dns) {
    files.push_back({netns::kResolvConfPath, resolv_conf_for(network, resolver_options)});
  }
  return files;
}

}  // namespace sluice::serve
