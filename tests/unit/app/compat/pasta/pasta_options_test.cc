#include "app/compat/pasta/pasta_options.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "unit/sys/loopback.h"

namespace sluice::app {
namespace {

std::expected<PastaOptions, EarlyExit> parse(std::vector<const char*> words,
                                             std::string_view shell = "/bin/zsh") {
  words.insert(words.begin(), "pasta");
  return parse_pasta_options(words, shell);
}

PastaOptions options(std::vector<const char*> words) {
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

using Words = std::vector<std::string>;

Words command_of(const PastaOptions& options) {
  const auto* const command = std::get_if<PastaCommand>(&options.target);
  return command != nullptr ? command->words : Words{};
}

netns::TargetNames names_of(const PastaOptions& options) {
  const auto* const names = std::get_if<netns::TargetNames>(&options.target);
  return names != nullptr ? *names : netns::TargetNames{};
}

TEST(PastaOptions, WithoutWordsItIsAShell) {
  const PastaOptions done = options({});
  EXPECT_EQ(command_of(done), Words{"/bin/zsh"});
  EXPECT_TRUE(done.foreground);
  EXPECT_FALSE(done.configures);
  EXPECT_EQ(done.guest.network.mtu, 65'520);
  EXPECT_EQ(done.guest.interface, "tap0");
  EXPECT_TRUE(done.guest.host_addresses);
  EXPECT_TRUE(done.guest.host_loopback);
  EXPECT_FALSE(done.guest.network.services.tells_resolvers);
  EXPECT_TRUE(done.warnings.empty());
  const auto bare = parse({}, "");
  ASSERT_TRUE(bare.has_value());
  EXPECT_EQ(command_of(*bare), Words{"/bin/sh"});
}

TEST(PastaOptions, ACommandKeepsItsOwnOptions) {
  EXPECT_EQ(command_of(options({"-4", "ip", "-6", "route"})), (Words{"ip", "-6", "route"}));
  EXPECT_EQ(command_of(options({"--", "-x"})), Words{"-x"});
  EXPECT_EQ(command_of(options({"12", "13"})), (Words{"12", "13"}));
}

TEST(PastaOptions, ANumberIsAProcess) {
  const PastaOptions done = options({"1234"});
  EXPECT_EQ(names_of(done).process, 1234);
  EXPECT_FALSE(done.foreground);
  EXPECT_TRUE(options({"-f", "1234"}).foreground);
  EXPECT_NE(mistake({"99999999999"}).find("PID: '99999999999' is out of range"), std::string::npos);
}

TEST(PastaOptions, NamespacesByPathAndByName) {
  EXPECT_EQ(names_of(options({"--netns", "/proc/7/ns/net"})).network, "/proc/7/ns/net");
  EXPECT_EQ(names_of(options({"--netns", "blue"})).network, "/run/netns/blue");
  const PastaOptions both = options({"--netns", "./net", "--userns", "/proc/7/ns/user"});
  EXPECT_EQ(names_of(both).network, "./net");
  EXPECT_EQ(names_of(both).user, "/proc/7/ns/user");
  const PastaOptions only = options({"--netns", "blue", "--netns-only", "--no-netns-quit"});
  EXPECT_TRUE(names_of(only).only_network);
  EXPECT_TRUE(only.stays);
}

// Of an ordinary user's container, by Podman 5.
TEST(PastaOptions, AsPodmanStartsIt) {
  const PastaOptions done =
      options({"--config-net", "-t", "8080-8081:80-81", "--dns-forward", "169.254.1.1", "-u",
               "none", "-T", "none", "-U", "none", "--no-map-gw", "--quiet", "--netns",
               "/run/user/1000/netns/netns-1", "--map-guest-addr", "169.254.1.2"});
  EXPECT_TRUE(done.configures);
  EXPECT_EQ(names_of(done).network, "/run/user/1000/netns/netns-1");
  EXPECT_EQ(done.guest.network.dns_v4, sys::ip("169.254.1.1"));
  EXPECT_FALSE(done.guest.chosen_v4);
  EXPECT_FALSE(done.guest.host_loopback);
  EXPECT_EQ(done.host_alias_v4, sys::ip("169.254.1.2"));
  ASSERT_EQ(done.guest.policy.rules.size(), 1U) << "a link-local address is refused otherwise";
  EXPECT_EQ(policy::to_string(done.guest.policy.rules[0].target), "169.254.1.2");
  EXPECT_EQ(done.guest.log_level, telemetry::LogLevel::kError);
  ASSERT_EQ(done.guest.publish.size(), 1U);
  EXPECT_EQ(policy::to_string(done.guest.publish[0]), "8080-8081:80-81");
  EXPECT_TRUE(done.warnings.empty());
  EXPECT_FALSE(done.guest.network.services.router_advertisements);
}

// "Equivalent to default slirp4netns(1) options", says podman-run(1).
TEST(PastaOptions, ANetworkInThePlaceOfAnAddress) {
  const PastaOptions done =
      options({"--config-net", "-I", "tap1", "--ipv4-only", "-a", "10.0.2.0", "-n", "24", "-g",
               "10.0.2.2", "--dns-forward", "10.0.2.3", "-m", "1500", "true"});
  EXPECT_EQ(done.guest.network.guest_v4, sys::ip("10.0.2.15"));
  EXPECT_EQ(done.guest.network.dns_v4, sys::ip("10.0.2.3"));
  EXPECT_TRUE(done.guest.chosen_v4);
  EXPECT_EQ(done.guest.interface, "tap1");
  EXPECT_EQ(done.guest.network.mtu, 1500);
  EXPECT_TRUE(options({"--dns-forward", "10.0.2.3", "true"}).guest.chosen_v4);
}

TEST(PastaOptions, WhatIsNotServedByTheKernel) {
  EXPECT_EQ(options({"true"}).guest.fast_path, policy::FastPathUse::kOff);
  EXPECT_EQ(options({"--config-net", "true"}).guest.fast_path, policy::FastPathUse::kAuto);
  EXPECT_EQ(options({"--config-net", "--no-splice", "true"}).guest.fast_path,
            policy::FastPathUse::kOff);
}

TEST(PastaOptions, TheLoopbacksOfHostAndNamespace) {
  using policy::LoopbackUse;
  const PastaOptions done = options({"--config-net", "-T", "8080:80", "true"});
  ASSERT_EQ(done.guest.loopback.size(), 1U);
  EXPECT_EQ(done.guest.loopback[0].guest_first, wire::Port{8080});
  EXPECT_EQ(done.guest.loopback[0].host_first, wire::Port{80});
  EXPECT_EQ(done.guest.call_guest, LoopbackUse::kWhereRefused);
  EXPECT_EQ(options({"--host-lo-to-ns-lo", "true"}).guest.call_guest, LoopbackUse::kFirst);
  EXPECT_EQ(options({"--no-splice", "true"}).guest.call_guest, LoopbackUse::kNever);
  EXPECT_EQ(options({"--host-lo-to-ns-lo", "--no-splice", "true"}).guest.call_guest,
            LoopbackUse::kNever);
  EXPECT_EQ(options({"-T", "80", "-T", "auto", "true"}).guest.loopback.size(), 1U);
  EXPECT_NE(mistake({"-T", "80", "-T", "80", "true"}).find("--tcp-ns: port 80 of the guest"),
            std::string::npos);
}

TEST(PastaOptions, PortsOfTheHostAreFollowedUnlessSomethingIsSaid) {
  using policy::Protocol;
  const auto followed = [](std::vector<const char*> words) {
    words.push_back("true");
    std::vector<Protocol> found;
    for (const auto& one : options(words).guest.follow_host) found.push_back(one.like.protocol);
    return found;
  };
  const std::vector both{Protocol::kTcp, Protocol::kUdp};
  EXPECT_EQ(followed({}), both);
  EXPECT_EQ(followed({"-t", "none", "-u", "none"}), both);
  EXPECT_TRUE(followed({"-T", "none"}).empty());
  EXPECT_TRUE(followed({"-U", "53"}).empty());
  EXPECT_EQ(followed({"-U", "auto"}), std::vector{Protocol::kUdp});
  EXPECT_TRUE(followed({"--no-splice"}).empty());
  EXPECT_TRUE(followed({"--no-map-gw"}).empty());
  EXPECT_EQ(followed({"--no-map-gw", "-T", "auto"}), std::vector{Protocol::kTcp});
}

TEST(PastaOptions, MistakesAreNamed) {
  EXPECT_NE(mistake({"--netns", "x", "true"}).find("expected one of them"), std::string::npos);
  EXPECT_NE(mistake({"--netns", ""}).find("--netns: the path is empty"), std::string::npos);
  EXPECT_NE(mistake({"--userns", "/x", "true"}).find("--userns"), std::string::npos);
  EXPECT_NE(mistake({"--no-netns-quit", "true"}).find("--no-netns-quit"), std::string::npos);
  EXPECT_NE(mistake({"--netns-only", "--userns", "/x", "--netns", "y"}).find("exclude each other"),
            std::string::npos);
  EXPECT_NE(mistake({""}).find("name is empty"), std::string::npos);
  EXPECT_NE(mistake({"--ns-mac-addr", "52:54:00:12:34:01", "true"}).find("is the gateway's"),
            std::string::npos);
}

TEST(PastaOptions, DifferencesAreOfWhatIsServed) {
  const auto tells = [](const PastaOptions& done, std::string_view what) {
    return std::ranges::any_of(done.differences,
                               [&](const std::string& one) { return one.contains(what); });
  };
  EXPECT_TRUE(tells(options({"true"}), "/etc/resolv.conf"));
  EXPECT_FALSE(tells(options({"1234"}), "/etc/resolv.conf"));
  EXPECT_TRUE(tells(options({"1234"}), "tap0"));
  EXPECT_FALSE(tells(options({"-I", "eth0", "1234"}), "tap0"));
  EXPECT_FALSE(tells(options({"1234"}), "the other is none"));
  EXPECT_TRUE(tells(options({"-T", "none", "1234"}), "the other is none"));
  EXPECT_TRUE(tells(options({"--no-map-gw", "1234"}), "none with --no-map-gw"));
  EXPECT_TRUE(tells(options({"1234"}), "where nobody waits at its address"));
  EXPECT_FALSE(tells(options({"--no-splice", "1234"}), "where nobody waits at its address"));
  EXPECT_FALSE(tells(options({"--host-lo-to-ns-lo", "1234"}), "where nobody waits at its address"));
}

TEST(PastaOptions, HelpAndVersion) {
  for (const char* const word : {"--help", "-h", "--version"}) {
    const auto parsed = parse({word});
    ASSERT_FALSE(parsed.has_value()) << word;
    EXPECT_EQ(parsed.error().exit_code, 0) << word;
    EXPECT_TRUE(parsed.error().text.contains("pasta")) << word;
  }
}

}  // namespace
}  // namespace sluice::app
