#include "app/system_files.h"

#include <limits.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <iterator>

#include "host/hosts_file.h"
#include "host/namespaces.h"
#include "host/ssh_files.h"

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
  return host::hosts_with(text, name.data(), addresses);
}

}  // namespace

std::vector<host::GuestFile> system_files(const flow::GuestNetwork& network) {
  std::vector<host::GuestFile> files;
  if (host::needs_user_namespace()) files = host::included_ssh_files();
  files.push_back({kHostsPath, guest_hosts(network)});
  return files;
}

}  // namespace sluice::app
