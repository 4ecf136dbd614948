#include "box/init/network.h"

#include <dirent.h>
#include <linux/ethtool.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "box/init/route_requests.h"

namespace sluice::box {
namespace {

constexpr std::uint32_t kLoopback = 1;  // The kernel gives it to `lo`.
constexpr std::uint64_t kWaitNanoseconds = 5'000'000'000;
constexpr timespec kPause{.tv_sec = 0, .tv_nsec = 1'000'000};

// The interface with the lowest index that has a device behind it.
std::uint32_t device_index() {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/sys/class/net"), &::closedir);
  std::uint32_t lowest = 0;
  while (const dirent* entry = folder ? ::readdir(folder.get()) : nullptr) {
    if (entry->d_name[0] == '.') continue;
    const std::string device = std::string("/sys/class/net/") + entry->d_name + "/device";
    if (::access(device.c_str(), F_OK) != 0) continue;
    const std::uint32_t index = ::if_nametoindex(entry->d_name);
    if (index != 0 && (lowest == 0 || index < lowest)) lowest = index;
  }
  return lowest;
}

std::uint32_t await_device() {
  const std::uint64_t until = nanoseconds_since_boot() + kWaitNanoseconds;
  while (true) {
    const std::uint32_t index = device_index();
    if (index != 0 || nanoseconds_since_boot() > until) return index;
    ::nanosleep(&kPause, nullptr);
  }
}

ifreq request_for(const std::string& name) {
  ifreq request{};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  return request;
}

std::optional<wire::MacAddress> mac_of(int socket, const std::string& name) {
  ifreq request = request_for(name);
  if (::ioctl(socket, SIOCGIFHWADDR, &request) != 0) return std::nullopt;
  if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER) return std::nullopt;
  wire::MacAddress mac;
  std::memcpy(mac.octets.data(), request.ifr_hwaddr.sa_data, mac.octets.size());
  return mac;
}

// A driver begins with one pair of queues, whatever its device has.
Step use_queues(int socket, const std::string& name, std::uint32_t pairs) {
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  ifreq request = request_for(name);
  request.ifr_data = reinterpret_cast<char*>(&channels);
  if (::ioctl(socket, SIOCETHTOOL, &request) != 0) return step_failed("ask for network queues");
  pairs = std::clamp(pairs, 1U, std::max(channels.max_combined, 1U));
  if (channels.combined_count == pairs) return {};
  channels.cmd = ETHTOOL_SCHANNELS;
  channels.combined_count = pairs;
  if (::ioctl(socket, SIOCETHTOOL, &request) == 0) return {};
  return step_failed("use " + std::to_string(pairs) + " network queues");
}

class RouteSocket {
 public:
  RouteSocket() : fd_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)) {}

  // The kernel has answered when send() returns.
  Step run(const RouteRequest& request) {
    if (::send(fd_.get(), request.bytes.data(), request.bytes.size(), 0) < 0) {
      return step_failed(request.step);
    }
    alignas(nlmsghdr) std::array<char, 4096> answer{};
    const ssize_t got = ::recv(fd_.get(), answer.data(), answer.size(), 0);
    if (got < static_cast<ssize_t>(NLMSG_LENGTH(sizeof(nlmsgerr)))) {
      return step_failed(request.step);
    }
    nlmsgerr error{};
    std::memcpy(&error, answer.data() + NLMSG_HDRLEN, sizeof error);
    if (error.error == 0) return {};
    return std::unexpected(sys::SetupError{request.step, -error.error, ""});
  }

 private:
  UniqueFd fd_;
};

struct Device {
  std::uint32_t index = 0;
  std::string name;
};

std::vector<RouteRequest> requests_for(const NetworkSetup& network, const Device& device,
                                       const std::optional<wire::MacAddress>& link_local) {
  std::vector<RouteRequest> all;
  if (device.name != network.interface) {
    all.push_back(rename_link(device.index, network.interface));
  }
  // A link-local address of the kernel's own would wait for duplicate address detection.
  if (link_local) all.push_back(no_automatic_link_local(device.index));
  all.push_back(set_mtu(device.index, network.mtu));
  all.push_back(link_up(device.index));
  if (link_local) all.push_back(add_address(device.index, link_local_of(*link_local), 64));
  for (const AddressOfGuest& item : network.addresses) {
    all.push_back(add_address(device.index, item.address, item.prefix_length));
  }
  for (const wire::IpAddress& gateway : network.gateways) {
    all.push_back(add_default_route(device.index, gateway));
  }
  return all;
}

}  // namespace

std::expected<std::vector<sys::SetupError>, sys::SetupError> set_up_network(
    const NetworkSetup& network, bool as_root) {
  std::vector<sys::SetupError> warnings;
  const auto warn_of = [&warnings](const Step& done) {
    if (!done) warnings.push_back(done.error());
  };
  RouteSocket routes;
  if (auto done = routes.run(link_up(kLoopback)); !done) return std::unexpected(done.error());
  // Ping sockets for every group, and all ports: they are the guest's.
  warn_of(write_setting("/proc/sys/net/ipv4/ping_group_range", "0 2147483647"));
  if (!as_root) warn_of(write_setting("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"));
  if (network.addresses.empty()) return warnings;

  const std::uint32_t index = await_device();
  std::array<char, IF_NAMESIZE> name{};
  if (index == 0 || ::if_indextoname(index, name.data()) == nullptr) {
    return std::unexpected(sys::SetupError{"no network device", 0,
                                           "the kernel needs virtio_net, built in or as a module"});
  }
  const Device device{index, name.data()};
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const bool v6 =
      std::ranges::any_of(network.addresses, [](const auto& a) { return !a.address.is_v4(); });
  if (v6) {
    // The addresses are ours to set: one more by a router advertisement would be a duplicate.
    warn_of(write_setting("/proc/sys/net/ipv6/conf/" + device.name + "/accept_ra", "0"));
  }
  if (network.queue_pairs > 1) warn_of(use_queues(socket.get(), device.name, network.queue_pairs));
  const auto link_local = v6 ? mac_of(socket.get(), device.name) : std::nullopt;
  for (const RouteRequest& request : requests_for(network, device, link_local)) {
    if (auto done = routes.run(request); !done) return std::unexpected(done.error());
  }
  return warnings;
}

}  // namespace sluice::box
