#include "app/compat/passt_options.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <variant>
#include <vector>

#include "unit/sys/loopback.h"

namespace sluice::app {
namespace {

std::expected<PasstOptions, EarlyExit> parse(std::vector<const char*> words) {
  words.insert(words.begin(), "passt");
  return parse_passt_options(words, [] { return std::string("/tmp/passt_7.socket"); });
}

PasstOptions options(std::vector<const char*> words) {
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

std::string socket_of(const PasstOptions& options) {
  const auto* const place = std::get_if<serve::MachineSocketPath>(&options.vm.machine.link);
  return place != nullptr ? place->path : "";
}

TEST(PasstOptions, WithoutAnyItServesAtTheSocketThatWasFree) {
  const PasstOptions done = options({});
  EXPECT_EQ(socket_of(done), "/tmp/passt_7.socket");
  EXPECT_FALSE(done.foreground);
  EXPECT_TRUE(done.vm.host_loopback);
  EXPECT_TRUE(done.vm.host_addresses);
  EXPECT_EQ(done.vm.network.mtu, 65'520);
  EXPECT_TRUE(done.vm.publish.empty());
}

// To look for a free one is to connect where others may serve one guest, and end with it.
TEST(PasstOptions, NobodyLooksForASocketThatIsNamed) {
  const auto not_asked = [] {
    ADD_FAILURE() << "it looked";
    return std::string();
  };
  for (const std::vector<const char*>& words :
       {std::vector{"passt", "-s", "/tmp/x.socket"}, {"passt", "--fd", "5"}, {"passt", "--help"}}) {
    (void)parse_passt_options(words, not_asked);
  }
  EXPECT_NE(mistake({"-s", ""}).find("--socket: the path is empty"), std::string::npos);
}

// What libvirt 9 and 11 start.
TEST(PasstOptions, AsLibvirtStartsIt) {
  const PasstOptions done = options(
      {"--one-off", "--socket", "/run/libvirt/qemu/passt/1-net0.socket", "--pid",
       "/run/libvirt/qemu/passt/1-net0-passt.pid", "--interface", "eth0", "--address", "172.17.2.5",
       "--netmask", "24", "--address", "2001:db8:ac10:fd01::1:10", "--log-file", "/tmp/passt.log",
       "--tcp-ports", "192.0.2.1%eth0/2022:22", "--udp-ports", "5000-5010:1000-1010,~5005"});
  EXPECT_EQ(socket_of(done), "/run/libvirt/qemu/passt/1-net0.socket");
  EXPECT_EQ(done.vm.machine.guests, link::Guests::kOnlyOne);
  EXPECT_EQ(done.pid_file, "/run/libvirt/qemu/passt/1-net0-passt.pid");
  EXPECT_EQ(done.log_file, "/tmp/passt.log");
  EXPECT_EQ(done.vm.network.guest_v4, sys::ip("172.17.2.5"));
  EXPECT_EQ(done.vm.network.prefix_length_v4, 24);
  EXPECT_EQ(done.vm.network.guest_v6, sys::ip("2001:db8:ac10:fd01::1:10"));
  ASSERT_EQ(done.vm.publish.size(), 3U);
  EXPECT_EQ(policy::to_string(done.vm.publish[0]), "192.0.2.1:2022:22");
  EXPECT_EQ(done.vm.publish[0].interface, "eth0");
  EXPECT_EQ(policy::to_string(done.vm.publish[1]), "5000-5004:1000-1004/udp");
  EXPECT_EQ(policy::to_string(done.vm.publish[2]), "5006-5010:1006-1010/udp");
  ASSERT_FALSE(done.differences.empty()) << "the guest's network is not the interface's";
}

TEST(PasstOptions, APassedSocketIsOneGuests) {
  const PasstOptions done = options({"-q", "-f", "--fd", "5", "-t", "8000"});
  EXPECT_EQ(std::get<serve::MachineDescriptor>(done.vm.machine.link).fd, 5);
  EXPECT_EQ(done.vm.machine.guests, link::Guests::kOnlyOne);
  EXPECT_TRUE(done.foreground);
  EXPECT_EQ(done.vm.log_level, telemetry::LogLevel::kError);
}

TEST(PasstOptions, APassedSocketMaySpeakVhostUser) {
  const PasstOptions done = options({"--vhost-user", "--fd", "5"});
  const auto& link = std::get<serve::MachineVhostUser>(done.vm.machine.link);
  EXPECT_EQ(link.role, serve::MachineVhostUser::Role::kGiven);
  EXPECT_EQ(link.fd, 5);
  EXPECT_EQ(done.vm.machine.guests, link::Guests::kOnlyOne);
  EXPECT_EQ(done.vm.network.mtu, 1500);
  EXPECT_EQ(options({"--fd", "5", "--vhost-user", "-m", "9000"}).vm.network.mtu, 9000);
}

TEST(PasstOptions, UdpFollowsTcpUnlessItIsNamed) {
  const PasstOptions done = options({"-t", "8080:80"});
  ASSERT_EQ(done.vm.publish.size(), 2U);
  EXPECT_EQ(policy::to_string(done.vm.publish[0]), "8080:80");
  EXPECT_EQ(policy::to_string(done.vm.publish[1]), "8080:8080/udp");
  EXPECT_EQ(done.vm.publish[1].if_taken, policy::IfTaken::kLeaveOut);
  EXPECT_EQ(options({"-t", "8080:80", "-u", "none"}).vm.publish.size(), 1U);
  EXPECT_EQ(options({"-t", "80", "-t", "none", "-u", "none"}).vm.publish.size(), 0U);
}

TEST(PasstOptions, NothingOfAMachineIsFollowed) {
  EXPECT_TRUE(mistake({"-t", "auto"}).contains("'auto' follows what waits in a namespace"));
}

TEST(PasstOptions, AddressesOfOldClasses) {
  EXPECT_EQ(options({"-a", "10.1.2.3"}).vm.network.prefix_length_v4, 8);
  EXPECT_EQ(options({"-a", "172.17.2.5"}).vm.network.prefix_length_v4, 16);
  EXPECT_EQ(options({"-a", "192.168.7.5"}).vm.network.prefix_length_v4, 24);
  EXPECT_EQ(options({"-a", "192.168.7.5", "-n", "255.255.255.240"}).vm.network.prefix_length_v4,
            28);
  EXPECT_EQ(options({"-a", "192.168.7.5", "-g", "192.168.7.1"}).vm.network.gateway_v4,
            sys::ip("192.168.7.1"));
}

TEST(PasstOptions, NamesAndServices) {
  const PasstOptions done =
      options({"--dns", "9.9.9.9", "--dns-forward", "192.0.2.53", "--dns-host", "192.0.2.54", "-S",
               "example.com lan", "--no-dhcp-search", "--no-icmp", "--no-ra", "-H", "guest",
               "--fqdn", "guest.example.com", "-M", "52:54:00:aa:bb:cc"});
  const flow::GuestNetwork& network = done.vm.network;
  EXPECT_EQ(network.other_resolvers, std::vector{sys::ip("9.9.9.9")});
  EXPECT_EQ(network.dns_v4, sys::ip("192.0.2.53"));
  ASSERT_EQ(done.vm.resolvers.size(), 1U);
  EXPECT_EQ(done.vm.resolvers[0].address, sys::ip("192.0.2.54"));
  EXPECT_EQ(network.search_domains, (std::vector<std::string>{"example.com", "lan"}));
  EXPECT_FALSE(network.services.tells_search_domains);
  EXPECT_FALSE(network.services.echo);
  EXPECT_FALSE(network.services.router_advertisements);
  EXPECT_TRUE(network.services.tcp);
  EXPECT_EQ(network.host_name, "guest");
  EXPECT_EQ(network.full_name, "guest.example.com");
  EXPECT_EQ(wire::to_string(network.gateway_mac), "52:54:00:aa:bb:cc");

  EXPECT_FALSE(options({"-D", "none"}).vm.network.services.tells_resolvers);
  EXPECT_FALSE(options({"-S", "none"}).vm.network.services.tells_search_domains);
}

TEST(PasstOptions, WaysToTheHost) {
  EXPECT_FALSE(options({"--no-map-gw"}).vm.host_loopback);
  EXPECT_FALSE(options({"--map-host-loopback", "none"}).vm.host_loopback);
  const PasstOptions mapped = options(
      {"--no-map-gw", "--map-host-loopback", "169.254.1.2", "--map-guest-addr", "10.0.2.9"});
  EXPECT_TRUE(mapped.vm.host_loopback);
  EXPECT_EQ(mapped.vm.network.loopback_v4, sys::ip("169.254.1.2"));
  EXPECT_FALSE(mapped.vm.network.gateway_leads_to_loopback) << "of the other family neither";
  EXPECT_EQ(mapped.host_alias_v4, sys::ip("10.0.2.9"));
  const PasstOptions out =
      options({"-o", "192.0.2.1", "-o", "2001:db8::1", "--outbound-if4", "eth1"});
  EXPECT_EQ(out.vm.outbound.v4.address, sys::ip("192.0.2.1"));
  EXPECT_EQ(out.vm.outbound.v4.device, "eth1");
  EXPECT_EQ(out.vm.outbound.v6.address, sys::ip("2001:db8::1"));
}

TEST(PasstOptions, MistakesAreNamed) {
  EXPECT_EQ(mistake({"-a", "nowhere"}),
            "passt: --address: 'nowhere' is not an IP address; see 'passt --help'\n");
  EXPECT_NE(mistake({"-n", "255.0.255.0"}).find("--netmask: '255.0.255.0' is not a netmask"),
            std::string::npos);
  EXPECT_NE(mistake({"-t", "80", "-t", "80"}).find("--tcp-ports: '80:80' needs a port"),
            std::string::npos);
  EXPECT_NE(mistake({"-4", "-t", "::1/80"}).find("switched off"), std::string::npos);
  EXPECT_NE(mistake({"word"}).find("'word' is unexpected"), std::string::npos);
  EXPECT_NE(mistake({"--log-size", "1"}).find("--log-size"), std::string::npos);
}

TEST(PasstOptions, HelpVersionAndCapabilities) {
  for (const char* const word : {"--help", "-h", "--version", "--print-capabilities"}) {
    const auto parsed = parse({word});
    ASSERT_FALSE(parsed.has_value()) << word;
    EXPECT_EQ(parsed.error().exit_code, 0) << word;
  }
  EXPECT_EQ(parse({"--print-capabilities"}).error().text, "{\"type\": \"net\"}\n");
}

}  // namespace
}  // namespace sluice::app
