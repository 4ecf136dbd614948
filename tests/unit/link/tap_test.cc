#include "link/tap.h"

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <optional>

#include "sys/sockaddr.h"
#include "unit/sys/loopback.h"
#include "wire/ip/ipv4.h"
#include "wire/link/ethernet.h"
#include "wire/transport/udp.h"

namespace sluice::link {
namespace {

using sys::ip;
using sys::kNotPermitted;

// Runs `body` in a network namespace of its own and returns its exit code.
int in_network_namespace(const std::function<int()>& body) {
  const int status = sys::in_network_namespace(
      [&] { return ::access("/dev/net/tun", R_OK | W_OK) == 0 ? body() : kNotPermitted; });
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(TapFeatures, PackAndUnpack) {
  for (unsigned bits = 0; bits < 32; ++bits) {
    const TapFeatures features{.vnet_header_size = static_cast<std::uint8_t>(bits == 0 ? 0 : 12),
                               .checksum = (bits & 1U) != 0,
                               .tso4 = (bits & 2U) != 0,
                               .tso6 = (bits & 4U) != 0,
                               .tso_ecn = (bits & 8U) != 0,
                               .uso = (bits & 16U) != 0};
    EXPECT_EQ(TapFeatures::unpack(features.pack()), features);
  }
}

TEST(OpenTap, RefusesNamesTheKernelWouldRefuseOrExpand) {
  for (const char* name : {"", "a/b", "a b", "tap%d", "a:b", ".", "..", "sixteen_bytes_xx"}) {
    const auto tap = open_tap(name);
    ASSERT_FALSE(tap.has_value()) << name;
    EXPECT_EQ(tap.error().step, "interface name") << name;
    EXPECT_FALSE(tap.error().hint.empty());
  }
}

TEST(OpenTap, TellsWhetherThereIsADeviceAtAll) {
  for (const int error : {ENOENT, ENXIO, ENODEV, EACCES, EPERM}) {
    EXPECT_TRUE(has_no_device(setup_error_of(TapStep::kOpenDevice, error))) << error;
    EXPECT_FALSE(has_no_device(setup_error_of(TapStep::kCreate, error))) << error;
  }
  EXPECT_FALSE(has_no_device(setup_error_of(TapStep::kOpenDevice, EMFILE)));
}

TEST(OpenTap, TellsHowToMendTheDevice) {
  EXPECT_EQ(setup_error_of(TapStep::kOpenDevice, EACCES).describe(),
            "/dev/net/tun: Permission denied; as root run: chmod 666 /dev/net/tun");
  EXPECT_NE(setup_error_of(TapStep::kOpenDevice, ENOENT).hint.find("modprobe tun"),
            std::string::npos);
}

TEST(OpenTap, GrantsHeadersAndOffloads) {
  const int code = in_network_namespace([] {
    const auto tap = open_tap("tap7");
    if (!tap) return 1;
    if (tap->name != "tap7" || ::if_nametoindex("tap7") == 0) return 2;
    if (tap->queues.size() != 1) return 3;
    const int fd = tap->queues.front().get();
    if ((::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0) return 4;
    if ((::fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0) return 5;
    // Any kernel of the last ten years has these.
    const TapFeatures& features = tap->features;
    if (features.vnet_header_size != 12 || !features.checksum) return 6;
    return features.tso4 && features.tso6 ? 0 : 7;
  });
  if (code == kNotPermitted) GTEST_SKIP() << "no namespace, or no access to /dev/net/tun";
  EXPECT_EQ(code, 0);
}

TEST(OpenTap, PlainFramesAndNameTaken) {
  const int code = in_network_namespace([] {
    const auto tap = open_tap("tap7", {.vnet_header = false});
    if (!tap || tap->features != TapFeatures{}) return 1;
    const auto again = open_tap("tap7", {.vnet_header = false});
    if (again || again.error().step != "/dev/net/tun: create a tap interface") return 2;
    return again.error().error == EBUSY && !again.error().hint.empty() ? 0 : 3;
  });
  if (code == kNotPermitted) GTEST_SKIP() << "no namespace, or no access to /dev/net/tun";
  EXPECT_EQ(code, 0);
}

TEST(AdoptTap, OneIsTakenAsItWasOpened) {
  const int code = in_network_namespace([] {
    const auto plain = open_tap("tap7", {.vnet_header = false});
    const auto with_headers = open_tap("tap8");
    if (!plain || !with_headers) return 1;
    const int fd = plain->queues.front().get();
    if (::fcntl(fd, F_SETFL, 0) != 0) return 2;
    const auto adopted = adopt_tap(plain->queues.front());
    if (!adopted || *adopted != TapFeatures{}) return 3;
    if ((::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0) return 4;
    const auto full = adopt_tap(with_headers->queues.front());
    return full && *full == with_headers->features ? 0 : 5;
  });
  if (code == kNotPermitted) GTEST_SKIP() << "no namespace, or no access to /dev/net/tun";
  EXPECT_EQ(code, 0);
}

TEST(AdoptTap, WhatIsNoneIsRefused) {
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const auto adopted = adopt_tap(null);
  ASSERT_FALSE(adopted.has_value());
  EXPECT_EQ(adopted.error().step, "take the descriptor of a tap");
  EXPECT_FALSE(adopted.error().hint.empty());
}

TEST(OpenTap, QueuesAreCounted) {
  for (const std::size_t queues : {std::size_t{0}, kMaxTapQueues + 1}) {
    const auto tap = open_tap("tap7", {.queues = queues});
    ASSERT_FALSE(tap.has_value());
    EXPECT_EQ(tap.error().describe(),
              "queues of a tap interface: Invalid argument; expected 1 to 64");
  }
}

TEST(OpenTap, EachOfSeveralQueuesIsWhole) {
  const int code = in_network_namespace([] {
    const auto tap = open_tap("tap7", {.queues = kMaxTapQueues});
    if (!tap || tap->queues.size() != kMaxTapQueues) return 1;
    const TapFeatures& features = tap->features;
    if (features.vnet_header_size != 12 || !features.checksum || !features.tso4) return 2;
    for (const UniqueFd& queue : tap->queues) {
      int header = 0;
      if (::ioctl(queue.get(), TUNGETVNETHDRSZ, &header) != 0 || header != 12) return 3;
      ifreq request{};
      if (::ioctl(queue.get(), TUNGETIFF, &request) != 0) return 4;
      if ((request.ifr_flags & IFF_MULTI_QUEUE) == 0) return 5;
      if ((::fcntl(queue.get(), F_GETFL) & O_NONBLOCK) == 0) return 6;
      if ((::fcntl(queue.get(), F_GETFD) & FD_CLOEXEC) == 0) return 7;
    }
    return 0;
  });
  if (code == kNotPermitted) GTEST_SKIP() << "no namespace, or no access to /dev/net/tun";
  EXPECT_EQ(code, 0);
}

// Whoever can add one takes the frames of others.
TEST(OpenTap, NoStrangerAddsAQueue) {
  if (::geteuid() != 0) GTEST_SKIP() << "another user cannot be had without root";
  const int code = in_network_namespace([] {
    const auto tap = open_tap("tap7", {.queues = 2});
    if (!tap || !forbid_more_queues(tap->queues[0])) return 1;
    const auto attach = [] {
      const UniqueFd fd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
      ifreq request{};
      std::strcpy(request.ifr_name, "tap7");
      request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE;
      return ::ioctl(fd.get(), TUNSETIFF, &request) == 0 ? 0 : errno;
    };
    if (attach() != 0) return 2;  // Root of the namespace may.
    if (::setgroups(0, nullptr) != 0 || ::setresgid(65'534, 65'534, 65'534) != 0) return 3;
    if (::setresuid(65'534, 65'534, 65'534) != 0) return 4;
    return attach() == EPERM ? 0 : 5;
  });
  if (code == kNotPermitted) GTEST_SKIP() << "no namespace, or no access to /dev/net/tun";
  EXPECT_EQ(code, 0);
}

// A tap of two queues, and a socket of its namespace that talks to one address behind it.
class SteeredFlow {
 public:
  static constexpr const char* kName = "tap7";

  [[nodiscard]] static std::optional<SteeredFlow> make(const Tap& tap, std::uint16_t port) {
    SteeredFlow flow;
    flow.port_ = wire::Port{port};
    flow.tap_ = &tap;
    ifreq request{};
    if (::ioctl(tap.queues[0].get(), SIOCGIFHWADDR, &request) != 0) return std::nullopt;
    std::copy_n(request.ifr_hwaddr.sa_data, flow.mac_.octets.size(), flow.mac_.octets.begin());
    flow.socket_ = UniqueFd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto ours = sys::to_sockaddr({ip("10.9.0.2"), flow.port_});
    const auto theirs = sys::to_sockaddr({ip("10.9.0.1"), flow.port_});
    if (::bind(flow.socket_.get(), ours.get(), ours.length) != 0) return std::nullopt;
    if (::connect(flow.socket_.get(), theirs.get(), theirs.length) != 0) return std::nullopt;
    return flow;
  }
  // The interface up, with an address, and without ARP.
  [[nodiscard]] static bool configure() {
    const UniqueFd control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strcpy(request.ifr_name, kName);
    const auto set = [&](unsigned long what, const char* address) {
      const auto value = sys::to_sockaddr({ip(address), wire::Port{0}});
      std::memcpy(&request.ifr_addr, value.get(), value.length);
      return ::ioctl(control.get(), what, &request) == 0;
    };
    if (!set(SIOCSIFADDR, "10.9.0.2") || !set(SIOCSIFNETMASK, "255.255.255.0")) return false;
    request.ifr_flags = IFF_UP | IFF_NOARP;
    return ::ioctl(control.get(), SIOCSIFFLAGS, &request) == 0;
  }

  // A datagram for the socket, by this queue; false where it does not arrive.
  [[nodiscard]] bool arrives_by(std::size_t queue) const {
    std::array<std::uint8_t, 14 + 20 + 8> frame{};
    const std::span<std::uint8_t, 42> bytes(frame);
    wire::emit_ethernet(bytes.first<14>(), mac_, mac_, wire::EtherType::kIpv4);
    wire::Ipv4Repr{.source = ip("10.9.0.1"),
                   .destination = ip("10.9.0.2"),
                   .protocol = wire::IpProtocol::kUdp,
                   .payload_length = 8}
        .emit(bytes.subspan<14, 20>());
    wire::UdpRepr{.source_port = port_, .destination_port = port_}.emit(bytes.subspan<34, 8>());
    if (::write(tap_->queues[queue].get(), frame.data(), frame.size()) < 0) return false;
    char byte = 0;
    return sys::wait_for(socket_.get(), POLLIN, 10'000) &&
           ::recv(socket_.get(), &byte, 1, MSG_DONTWAIT) == 0;
  }
  // The queue by which the socket's answer leaves.
  [[nodiscard]] std::optional<std::size_t> answered_by() const {
    if (::send(socket_.get(), "", 1, 0) != 1) return std::nullopt;
    std::array<pollfd, 2> items{};
    for (int tries = 0; tries < 100; ++tries) {
      for (std::size_t i = 0; i < items.size(); ++i) {
        items[i] = {.fd = tap_->queues[i].get(), .events = POLLIN, .revents = 0};
      }
      if (::poll(items.data(), items.size(), 10'000) <= 0) return std::nullopt;
      for (std::size_t i = 0; i < items.size(); ++i) {
        if (items[i].revents != 0 && is_answer(i)) return i;
      }
    }
    return std::nullopt;
  }

 private:
  // The kernel sends other frames, too.
  [[nodiscard]] bool is_answer(std::size_t queue) const {
    std::array<std::uint8_t, 2000> frame{};
    const ssize_t got = ::read(tap_->queues[queue].get(), frame.data(), frame.size());
    if (got < 14 || frame[12] != 0x08 || frame[13] != 0x00) return false;
    const auto packet =
        wire::Ipv4View::parse(ByteView(frame).subspan(14, static_cast<std::size_t>(got) - 14));
    if (!packet || packet->protocol() != wire::IpProtocol::kUdp) return false;
    const auto datagram = wire::UdpView::parse(packet->payload());
    return datagram && datagram->source_port() == port_;
  }

  const Tap* tap_ = nullptr;
  wire::Port port_{};
  wire::MacAddress mac_{};
  UniqueFd socket_;
};

// What the workers of one guest rely on: a flow's frames come to who sends its answers.
TEST(OpenTap, TheKernelSendsAFlowsFramesToTheQueueThatWeWroteTo) {
  const int code = in_network_namespace([] {
    const auto tap = open_tap(SteeredFlow::kName, {.vnet_header = false, .queues = 2});
    if (!tap || !SteeredFlow::configure()) return 1;
    for (std::uint16_t port = 7000; port < 7008; ++port) {
      const auto flow = SteeredFlow::make(*tap, port);
      if (!flow) return 2;
      for (const std::size_t queue : {std::size_t{1}, std::size_t{0}, std::size_t{1}}) {
        if (!flow->arrives_by(queue)) return 3;
        if (flow->answered_by() != queue) return 4;
      }
    }
    return 0;
  });
  if (code == kNotPermitted) GTEST_SKIP() << "no namespace, or no access to /dev/net/tun";
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace sluice::link
