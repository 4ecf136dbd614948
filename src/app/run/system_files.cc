#include "app/run/system_files.h"

#include <limits.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <iterator>

#include "netns/hosts_file.h"
#include "netns/namespaces.h"
#include "netns/ssh_files.h"

namespace sluice::app {
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

}  // namespace

std::vector<netns::GuestFile> system_files(const flow::GuestNetwork& network) {
  std::vector<netns::GuestFile> files;
  if (netns::needs_user_namespace()) files = netns::included_ssh_files();
  files.push_back({kHostsPath, guest_hosts(network)});
  return files;
}

}  // namespace sluice::app
