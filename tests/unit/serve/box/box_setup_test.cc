#include "serve/box/box_setup.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "netns/files/guest_files.h"

namespace sluice::serve {
namespace {

class BoxSetupTest : public testing::Test {
 protected:
  BoxSetupTest() {
    plan_.command = {"make", "-j2"};
    plan_.workdir = "/src";
    network_.dns = true;
  }
  box::Setup setup(BoxCaller caller = {}) {
    return box_setup(plan_,
                     {.network = network_,
                      .resolver_options = options_,
                      .environment = prepared_,
                      .fast_path = policy::FastPathUse::kOff,
                      .workers = 1,
                      .signals = signals_,
                      .descriptor_limit = 1024},
                     std::move(caller));
  }

  BoxPlan plan_;
  flow::GuestNetwork network_;
  std::vector<std::string> options_;
  std::vector<std::string> prepared_;
  sys::SavedSignals signals_;
};

TEST_F(BoxSetupTest, TheCommandIsWhoStartedIt) {
  const box::Setup told =
      setup({.uid = 1000, .gid = 100, .groups = {100, 27}, .umask = 077, .host_name = "here"});
  EXPECT_EQ(told.command, (std::vector<std::string>{"make", "-j2"}));
  EXPECT_EQ(told.directory, "/src");
  EXPECT_FALSE(told.directory_required);
  EXPECT_EQ(told.uid, 1000U);
  EXPECT_EQ(told.gid, 100U);
  EXPECT_EQ(told.groups, (std::vector<std::uint32_t>{100, 27}));
  EXPECT_EQ(told.umask, 077U);
  EXPECT_EQ(told.descriptor_limit, 1024U);
  EXPECT_EQ(told.host_name, "here");
  plan_.workdir_required = true;
  EXPECT_TRUE(setup().directory_required);
  plan_.as_root = true;
  EXPECT_EQ(setup({.uid = 1000, .gid = 100, .groups = {27}}).uid, 0U);
  EXPECT_TRUE(setup({.uid = 1000, .gid = 100, .groups = {27}}).groups.empty());
}

TEST_F(BoxSetupTest, VariablesOfThePlanWin) {
  plan_.environment = {"B=2", "C=3"};
  EXPECT_EQ(setup({.environment = {"A=1", "B=1", "BB=1"}}).environment,
            (std::vector<std::string>{"A=1", "BB=1", "B=2", "C=3"}));
}

TEST_F(BoxSetupTest, WhatWasPreparedForTheCommandIsInItsEnvironment) {
  prepared_ = {"SLUICE_POLICY_URL=http://policy", "C=ours"};
  plan_.environment = {"C=3"};
  EXPECT_EQ(setup({.environment = {"A=1", "SLUICE_POLICY_URL=old"}}).environment,
            (std::vector<std::string>{"A=1", "SLUICE_POLICY_URL=http://policy", "C=3"}));
}

TEST_F(BoxSetupTest, ItsNetworkIsThatOfRun) {
  plan_.interface = "tap0";
  plan_.net_queues = 2;
  box::NetworkSetup told = setup().network;
  EXPECT_EQ(told.interface, "tap0");
  EXPECT_EQ(told.queue_pairs, 2);
  EXPECT_EQ(told.mtu, network_.mtu);
  ASSERT_EQ(told.addresses.size(), 2U);
  EXPECT_EQ(told.addresses[0].address, wire::IpAddress(network_.guest_v4));
  EXPECT_EQ(told.addresses[0].prefix_length, network_.prefix_length_v4);
  EXPECT_EQ(told.gateways.size(), 2U);
  plan_.ipv4_default_route = false;
  told = setup().network;
  ASSERT_EQ(told.gateways.size(), 1U);
  EXPECT_EQ(told.gateways[0], wire::IpAddress(network_.gateway_v6));
  network_.ipv6 = false;
  EXPECT_EQ(setup().network.addresses.size(), 1U);
}

TEST_F(BoxSetupTest, ResolversAreOursWhereNamesAreRelayed) {
  const auto has_resolv_conf = [](const box::Setup& told) {
    return std::ranges::any_of(
        told.files, [](const box::FileText& file) { return file.path == netns::kResolvConfPath; });
  };
  EXPECT_TRUE(has_resolv_conf(setup()));
  network_.dns = false;
  EXPECT_FALSE(has_resolv_conf(setup()));
}

TEST_F(BoxSetupTest, SharesHaveTheirTags) {
  plan_.shares = {{.path = "/a", .target = "/b"}, {.path = "/c", .target = "/c", .writable = true}};
  EXPECT_EQ(setup().shares,
            (std::vector<box::Share>{{"share0", "/b", false}, {"share1", "/c", true}}));
}

TEST_F(BoxSetupTest, StandardErrorIsTheTerminalOrNot) {
  EXPECT_FALSE(setup().terminal);
  const box::Setup told = setup({.terminal = box::Window{.rows = 24, .columns = 80}});
  EXPECT_EQ(told.terminal, (box::Window{.rows = 24, .columns = 80}));
  EXPECT_EQ(told.error_place, box::ErrorPlace::kOwnPort);
  EXPECT_EQ(setup({.terminal = box::Window{}, .error_is_terminal = true}).error_place,
            box::ErrorPlace::kTerminal);
}

TEST(BoxCaller, IsThisProcess) {
  ASSERT_EQ(::setenv("SLUICE_BOX_TEST", "a=b", 1), 0);
  const BoxCaller caller = box_caller();
  EXPECT_EQ(caller.uid, ::geteuid());
  EXPECT_EQ(caller.gid, ::getegid());
  EXPECT_TRUE(std::ranges::count(caller.environment, "SLUICE_BOX_TEST=a=b") == 1);
  const mode_t mask = ::umask(022);
  EXPECT_EQ(caller.umask, mask);
  ::umask(mask);
}

}  // namespace
}  // namespace sluice::serve
