#include "serve/command_files.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sluice::serve {
namespace {

TEST(CommandFiles, ResolvConfNamesOurRelayInTheFamiliesThatThereAre) {
  flow::GuestNetwork network;
  EXPECT_EQ(resolv_conf_for(network, {}),
            "# Made by sluice: its DNS relay asks the host's resolvers.\n"
            "nameserver 10.0.2.3\n"
            "nameserver fd00::3\n");
  network.ipv6 = false;
  network.search_domains = {"example.org", "example.net"};
  EXPECT_EQ(resolv_conf_for(network, {"ndots:2", "rotate"}),
            "# Made by sluice: its DNS relay asks the host's resolvers.\n"
            "nameserver 10.0.2.3\n"
            "search example.org example.net\n"
            "options ndots:2 rotate\n");
}

TEST(CommandFiles, WithoutTheRelayResolvConfIsTheHosts) {
  flow::GuestNetwork network;
  const auto names_it = [](const netns::GuestFile& file) {
    return file.path == netns::kResolvConfPath;
  };
  EXPECT_EQ(std::ranges::count_if(command_files(network, {}), names_it), 1);
  network.dns = false;
  EXPECT_EQ(std::ranges::count_if(command_files(network, {}), names_it), 0);
}

TEST(CommandFiles, HostsHasTheGuestsAddress) {
  const auto files = command_files({}, {});
  const auto hosts = std::ranges::find(files, "/etc/hosts", &netns::GuestFile::path);
  ASSERT_NE(hosts, files.end());
  EXPECT_NE(hosts->text.find("10.0.2.15"), std::string::npos);
}

TEST(CommandFiles, WhereNamesDecideTheGuestAsksSoThatItCanBeToldWhy) {
  using Options = std::vector<std::string>;
  policy::EgressDraft draft;
  EXPECT_EQ(resolver_options_for(draft, {"rotate"}), Options{"rotate"});
  draft.fallback = policy::Effect::kDeny;
  const Options told{"rotate", "edns0", "ndots:1"};
  EXPECT_EQ(resolver_options_for(draft, {"rotate"}), told);
  draft.fallback = policy::Effect::kAllow;
  draft.rules.push_back({policy::parse_egress_target("10.0.0.1").value(), {}});
  EXPECT_EQ(resolver_options_for(draft, {}), Options{});
  draft.rules.push_back({policy::parse_egress_target("evil.test").value(), {}});
  EXPECT_EQ(resolver_options_for(draft, {}), (Options{"edns0", "ndots:1"}));
}

}  // namespace
}  // namespace sluice::serve
