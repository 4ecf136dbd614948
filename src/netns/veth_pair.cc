#include "netns/veth_pair.h"

#include <linux/sockios.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include <cerrno>
#include <utility>

#include "base/unique_fd.h"
#include "netlink/netlink.h"

namespace sluice::netns {
namespace {

// It is the only one of its namespace but for the loopback.
constexpr std::uint32_t kIndex = 1000;
// As the guest may choose any for its end: what is longer than the other's is dropped in between.
constexpr std::uint32_t kMtu = 65'535;

// The kernel takes an interface away some time after the last socket beyond was closed, so that one
// of a run before may still be there.
constexpr timespec kLookAgain{.tv_sec = 0, .tv_nsec = 10'000'000};
constexpr int kLooks = 100;

std::unexpected<sys::SetupError> failed(std::string step, int error, std::string hint = "") {
  return std::unexpected(sys::SetupError{std::move(step), error, std::move(hint)});
}

std::string hint_for(int error) {
  switch (error) {
    case EOPNOTSUPP: return "as root run: modprobe veth";
    case EEXIST: return "an interface of this name exists; choose another";
    case EPERM: return "the network namespace must be owned by the caller";
    default: return "";
  }
}

// The calling thread's network namespace; there may be no /proc to open it by.
UniqueFd own_namespace() {
  const UniqueFd of_ours(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return UniqueFd(::ioctl(of_ours.get(), SIOCGSKNS));
}

std::expected<void, sys::SetupError> make_pair(const std::string& interface, int guest) {
  auto netlink = netlink::Netlink::open();
  if (!netlink) return failed("open a netlink socket", netlink.error().error);
  netlink::NetlinkBatch pair;
  pair.add_veth_pair({.index = kIndex,
                      .name = "sluice",
                      .mtu = kMtu,
                      .far_name = interface,
                      .far_namespace = guest});
  auto made = netlink->run(pair);
  for (int look = 1; look < kLooks && !made && made.error().error == EEXIST; ++look) {
    ::nanosleep(&kLookAgain, nullptr);
    made = netlink->run(pair);
  }
  if (!made) return failed(made.error().step, made.error().error, hint_for(made.error().error));
  netlink::NetlinkBatch quiet;
  quiet.change_link(kIndex, {.no_automatic_link_local = true});
  quiet.change_link(kIndex, {.up = true, .no_arp = true});
  return netlink->run(quiet);
}

}  // namespace

std::expected<OpenedLink, sys::SetupError> open_by_veth_pair(const std::string& interface,
                                                             const OpenerBeyond& open) {
  const UniqueFd guest = own_namespace();
  if (!guest.valid()) return failed("network namespace of a socket", errno);
  if (::unshare(CLONE_NEWNET) != 0) {
    return failed("create a network namespace for the other end of a veth pair", errno,
                  errno == ENOSPC ? "as root raise user.max_net_namespaces" : "");
  }
  if (auto made = make_pair(interface, guest.get()); !made) return std::unexpected(made.error());
  auto opened = open(kIndex);
  if (!opened) return opened;
  if (::setns(guest.get(), CLONE_NEWNET) != 0) return failed("go back to the guest", errno);
  return opened;
}

}  // namespace sluice::netns
