#include "app/compat/slirp4netns/slirp_options.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::app {
namespace {

std::expected<SlirpOptions, EarlyExit> parse(std::vector<const char*> words) {
  words.insert(words.begin(), "slirp4netns");
  return parse_slirp_options(words);
}

SlirpOptions options(std::vector<const char*> words) {
  auto parsed = parse(std::move(words));
  if (!parsed) {
    ADD_FAILURE() << parsed.error().text;
    return {};
  }
  return std::move(*parsed);
}

std::string mistake(std::vector<const char*> words) {
  const auto parsed = parse(std::move(words));
  if (parsed) return "(none)";
  EXPECT_EQ(parsed.error().exit_code, 1);
  return parsed.error().text;
}

testing::AssertionResult says(const std::string& text, std::string_view part) {
  if (text.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "'" << text << "' without '" << part << "'";
}

TEST(SlirpOptions, WithoutAnyItsNetworkIsTheKnownOne) {
  const SlirpOptions done = options({"1234", "tap0"});
  EXPECT_EQ(done.target, SlirpOptions::Target::kNamespace);
  EXPECT_EQ(done.names.process, 1234);
  EXPECT_EQ(done.guest.interface, "tap0");
  EXPECT_FALSE(done.configure);
  const flow::GuestNetwork& network = done.guest.network;
  EXPECT_EQ(wire::to_string(network.guest_v4), "10.0.2.100");
  EXPECT_EQ(wire::to_string(network.gateway_v4), "10.0.2.2");
  EXPECT_EQ(wire::to_string(network.dns_v4), "10.0.2.3");
  EXPECT_EQ(network.prefix_length_v4, 24);
  EXPECT_EQ(network.mtu, 1500);
  EXPECT_TRUE(network.dns);
  EXPECT_FALSE(network.ipv6);
  EXPECT_TRUE(done.guest.host_loopback);
  EXPECT_TRUE(done.guest.host_addresses);
  EXPECT_TRUE(done.api_socket.empty());
  EXPECT_TRUE(done.doubts.empty());
}

// As Podman and RootlessKit say it.
TEST(SlirpOptions, TheirWordsAreTaken) {
  const SlirpOptions podman = options({"--disable-host-loopback", "--mtu=65520", "--enable-sandbox",
                                       "--enable-seccomp", "--enable-ipv6", "-c", "-e", "3", "-r",
                                       "4", "--netns-type=path", "/run/netns/x", "tap0"});
  EXPECT_FALSE(podman.guest.host_loopback);
  EXPECT_EQ(podman.guest.network.mtu, 65'520);
  EXPECT_TRUE(podman.guest.network.ipv6);
  EXPECT_EQ(wire::to_string(podman.guest.network.guest_v6), "fd00::100");
  EXPECT_TRUE(podman.configure);
  EXPECT_EQ(podman.exit_fd, 3);
  EXPECT_EQ(podman.ready_fd, 4);
  EXPECT_EQ(podman.names.network, "/run/netns/x");
  EXPECT_FALSE(podman.names.process.has_value());

  const SlirpOptions rootlesskit =
      options({"--mtu", "1500", "-r", "3", "--api-socket", "/tmp/x/.s4nn.sock", "--cidr",
               "10.0.3.0/24", "4321", "tap0"});
  EXPECT_EQ(rootlesskit.api_socket, "/tmp/x/.s4nn.sock");
  EXPECT_EQ(wire::to_string(rootlesskit.guest.network.guest_v4), "10.0.3.100");
  EXPECT_EQ(wire::to_string(rootlesskit.guest.network.dns_v4), "10.0.3.3");
}

TEST(SlirpOptions, ANetworkIsANetworkWithRoomForItsHundredthAddress) {
  EXPECT_EQ(options({"--cidr=192.168.0.128/25", "1", "t"}).guest.network.prefix_length_v4, 25);
  EXPECT_TRUE(says(mistake({"--cidr=10.0.2.1/24", "1", "t"}), "'10.0.2.0/24'"));
  EXPECT_TRUE(says(mistake({"--cidr=10.0.2.0/26", "1", "t"}), "1 to 25"));
  EXPECT_TRUE(says(mistake({"--cidr=0.0.0.0/0", "1", "t"}), "1 to 25"));
  for (const char* const wrong : {"--cidr=foo", "--cidr=10.0.2.0", "--cidr=fd00::/64"}) {
    EXPECT_TRUE(says(mistake({wrong, "1", "t"}), "expected one as 10.0.2.0/24"));
  }
}

TEST(SlirpOptions, TheMtuHasItsBounds) {
  EXPECT_EQ(options({"-m", "65521", "1", "t"}).guest.network.mtu, 65'520);
  for (const char* const wrong : {"0", "-5", "abc", "65522", "70000"}) {
    EXPECT_TRUE(says(mistake({"-m", wrong, "1", "t"}), "1 to 65521")) << wrong;
  }
  EXPECT_TRUE(says(mistake({"-6", "-m", "1000", "1", "t"}), "too small for IPv6"));
}

TEST(SlirpOptions, OutboundIsAnAddressOrAnInterface) {
  const SlirpOptions done =
      options({"--outbound-addr=192.0.2.7", "--outbound-addr6=eth0", "1", "t"});
  ASSERT_TRUE(done.guest.outbound.v4.address.has_value());
  EXPECT_EQ(wire::to_string(*done.guest.outbound.v4.address), "192.0.2.7");
  EXPECT_EQ(done.guest.outbound.v6.device, "eth0");
  EXPECT_TRUE(says(mistake({"--outbound-addr=fe80::1", "1", "t"}), "neither an IPv4 address"));
  EXPECT_TRUE(says(mistake({"--outbound-addr6=192.0.2.7", "1", "t"}), "neither an IPv6 address"));
}

TEST(SlirpOptions, AMacIsForAnInterfaceThatIsBroughtUp) {
  const SlirpOptions done = options({"-c", "--macaddress=02:00:00:00:00:07", "1", "t"});
  EXPECT_EQ(wire::to_string(done.guest.network.guest_mac), "02:00:00:00:00:07");
  EXPECT_TRUE(says(mistake({"--macaddress=02:00:00:00:00:07", "1", "t"}), "only for --configure"));
  EXPECT_TRUE(says(mistake({"-c", "--macaddress=zz", "1", "t"}), "is not a MAC"));
}

TEST(SlirpOptions, TheOtherTargetsNeedNoInterface) {
  const SlirpOptions tap = options({"--netns-type=tapfd", "5"});
  EXPECT_EQ(tap.target, SlirpOptions::Target::kTap);
  EXPECT_EQ(tap.tap_fd, 5);
  const SlirpOptions bess = options({"--target-type=bess", "/tmp/bess.sock"});
  EXPECT_EQ(bess.target, SlirpOptions::Target::kBessSocket);
  EXPECT_EQ(bess.bess_socket, "/tmp/bess.sock");
  EXPECT_TRUE(says(mistake({"--netns-type=tapfd", "-c", "5"}), "--configure"));
  EXPECT_TRUE(says(mistake({"--target-type=bess", "-c", "/x"}), "--configure"));
  EXPECT_TRUE(says(mistake({"--target-type=bess", "--netns-type=pid", "/x"}), "--netns-type"));
  EXPECT_TRUE(says(mistake({"--target-type=bess", "--userns-path=/y", "/x"}), "--userns-path"));
}

TEST(SlirpOptions, TheNamespaceIsSaid) {
  EXPECT_TRUE(says(mistake({}), "expected PID and TAPNAME"));
  EXPECT_TRUE(says(mistake({"1"}), "expected PID and TAPNAME"));
  EXPECT_TRUE(says(mistake({"0", "t"}), "PID: '0'"));
  EXPECT_TRUE(says(mistake({"abc", "t"}), "PID: 'abc'"));
  EXPECT_TRUE(says(mistake({"--netns-type=foo", "1", "t"}), "pid, path or tapfd"));
  EXPECT_TRUE(says(mistake({"--target-type=foo", "1", "t"}), "netns or bess"));
  EXPECT_TRUE(says(mistake({"1", "a/b"}), "cannot name the interface"));
  EXPECT_TRUE(says(mistake({"-e", "7", "-r", "7", "1", "t"}), "--exit-fd"));
  EXPECT_EQ(options({"1", "t", "more"}).doubts.size(), 1u);
}

TEST(SlirpOptions, ProgramsFindTheOptionsInItsHelp) {
  const auto help = parse({"--help"});
  ASSERT_FALSE(help.has_value());
  EXPECT_EQ(help.error().exit_code, 0);
  for (const char* const option :
       {"--configure", "--exit-fd", "--ready-fd", "--mtu", "--enable-ipv6", "--api-socket",
        "--cidr", "--disable-host-loopback", "--netns-type", "--userns-path", "--enable-sandbox",
        "--enable-seccomp", "--outbound-addr", "--outbound-addr6", "--disable-dns", "--macaddress",
        "--target-type"}) {
    EXPECT_TRUE(says(help.error().text, option));
  }
  const auto version = parse({"-v"});
  ASSERT_FALSE(version.has_value());
  EXPECT_EQ(version.error().exit_code, 0);
  EXPECT_TRUE(version.error().text.starts_with("slirp4netns version 1."));
}

TEST(SlirpOptions, AnEmptyPathIsAMistake) {
  EXPECT_TRUE(says(mistake({"--api-socket=", "1", "t"}), "--api-socket: the path is empty"));
  EXPECT_FALSE(options({"--disable-dns", "1", "t"}).guest.network.dns);
}

}  // namespace
}  // namespace sluice::app
