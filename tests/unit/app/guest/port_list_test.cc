#include "app/guest/port_list.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::app {
namespace {

// The maps as text, an interface and "if free" behind them.
std::string ports(std::string_view text) {
  const auto list =
      parse_port_list("-t", text, policy::Protocol::kTcp, {.first = 32'768, .last = 60'999});
  if (!list) return list.error().text;
  std::string all;
  for (const policy::PortMap& map : list->maps) {
    if (!all.empty()) all += ' ';
    all += policy::to_string(map);
    if (!map.interface.empty()) all += "%" + map.interface;
    if (map.if_taken == policy::IfTaken::kLeaveOut) all += "?";
  }
  return all;
}

TEST(PortList, EachFormOfItsManual) {
  EXPECT_EQ(ports("none"), "");
  EXPECT_EQ(ports("22"), "22:22");
  EXPECT_EQ(ports("22:23"), "22:23");
  EXPECT_EQ(ports("22,25"), "22:22 25:25");
  EXPECT_EQ(ports("22-80"), "22-80:22-80");
  EXPECT_EQ(ports("22-80:32-90"), "22-80:32-90");
  EXPECT_EQ(ports("192.0.2.1/22"), "192.0.2.1:22:22");
  EXPECT_EQ(ports("192.0.2.1%eth0/22"), "192.0.2.1:22:22%eth0");
  EXPECT_EQ(ports("%eth0/22"), "22:22%eth0");
  EXPECT_EQ(ports("::1/22"), "[::1]:22:22");
  EXPECT_EQ(ports("[::1]/22"), "[::1]:22:22");
  EXPECT_EQ(ports("2000-5000,~3000-3010"), "2000-2999:2000-2999 3011-5000:3011-5000");
  EXPECT_EQ(ports("192.0.2.1/20-30,~25"), "192.0.2.1:20-24:20-24 192.0.2.1:26-30:26-30");
}

TEST(PortList, ExclusionsAloneMeanAllOthersButTheEphemeral) {
  EXPECT_EQ(ports("~20000-20010"),
            "1-19999:1-19999? 20011-32767:20011-32767? 61000-65535:61000-65535?");
  EXPECT_EQ(ports("all"), "1-32767:1-32767? 61000-65535:61000-65535?");
  EXPECT_EQ(ports("127.0.0.1/all"),
            "127.0.0.1:1-32767:1-32767? 127.0.0.1:61000-65535:61000-65535?");
  EXPECT_EQ(ports("all,~20000-20010"), ports("~20000-20010"));
}

TEST(PortList, ALonePortBehindTheColonIsWhereTheRangeBegins) {
  EXPECT_EQ(ports("8000-8010:80"), "8000-8010:80-90");
}

TEST(PortList, NeighboursAreOneMap) {
  EXPECT_EQ(ports("80,81,82,90:190"), "80-82:80-82 90:190");
  EXPECT_EQ(ports("80,80:8080"), "80:8080") << "the later counts";
}

TEST(PortList, WhatIsNoneIsRefusedWhole) {
  for (const char* const text :
       {"",          "0",          "65536",         "22,",         ",22",
        "22-",       "-22",        "80-22",         "22-80:32-91", "65000-65535:65000-65536",
        "1-2:65535", "nowhere/22", "192.0.2.1%/22", "/22",         "~",
        "22:",       "22:x",       "22 23",         "+22",         "all,22",
        "all,auto",  "auto,auto",  "auto,none",     "none,22"}) {
    const auto maps = parse_port_list("-t", text, policy::Protocol::kTcp, {});
    ASSERT_FALSE(maps.has_value()) << text;
    EXPECT_TRUE(maps.error().text.starts_with("-t: '" + std::string(text) +
                                              "' are no ports; expected none, all"))
        << maps.error().text;
  }
}

TEST(PortList, ThoseOfTheGuestAreToFollow) {
  const auto list = parse_port_list("-u", "127.0.0.1%lo/auto", policy::Protocol::kUdp, {});
  ASSERT_TRUE(list.has_value() && list->follow.has_value());
  EXPECT_TRUE(list->maps.empty());
  EXPECT_EQ(list->follow->like.protocol, policy::Protocol::kUdp);
  EXPECT_EQ(list->follow->like.interface, "lo");
  EXPECT_EQ(wire::to_string(list->follow->like.address.value()), "127.0.0.1");
}

TEST(PortList, SomeThatDoNotFollowAndSomeThatAreThereInAnyCase) {
  const auto list =
      parse_port_list("-t", "auto,~6000-6010,8080:80,~22,~6011", policy::Protocol::kTcp, {});
  ASSERT_TRUE(list.has_value() && list->follow.has_value());
  EXPECT_EQ(list->follow->except, (std::vector<policy::PortRange>{{22, 22}, {6000, 6011}}));
  ASSERT_EQ(list->maps.size(), 1U);
  EXPECT_EQ(policy::to_string(list->maps[0]), "8080:80");
  EXPECT_EQ(list->maps[0].if_taken, policy::IfTaken::kFail);
}

// As guest:host, ranges by their first port and their count.
std::string ports_out(std::string_view text) {
  const auto maps = parse_ports_out("-T", policy::Protocol::kTcp, text);
  if (!maps) return maps.error().text;
  std::string all;
  for (const policy::PortMap& map : maps->maps) {
    if (!all.empty()) all += ' ';
    all += std::to_string(map.guest_first.value) + ":" + std::to_string(map.host_first.value);
    if (map.count > 1) all += "+" + std::to_string(map.count);
  }
  return all;
}

TEST(PortList, OutwardsTheGuestsPortComesFirst) {
  EXPECT_EQ(ports_out("none"), "");
  EXPECT_EQ(ports_out("5432"), "5432:5432");
  EXPECT_EQ(ports_out("80:8080,2000-2010:3000,~2005"), "80:8080 2000:3000+5 2006:3006+5");
  EXPECT_EQ(ports_out("1-1024"), "1:1+1024");
}

TEST(PortList, OutwardsThoseOfTheHostAreToFollow) {
  const auto out = parse_ports_out("-U", policy::Protocol::kUdp, "auto");
  ASSERT_TRUE(out.has_value());
  EXPECT_TRUE(out->follow && out->maps.empty());
  EXPECT_FALSE(parse_ports_out("-U", policy::Protocol::kUdp, "53")->follow);
  const auto others = parse_ports_out("-T", policy::Protocol::kTcp, "auto,~22,8080:80");
  ASSERT_TRUE(others.has_value() && others->follow.has_value());
  EXPECT_EQ(others->follow->except, (std::vector<policy::PortRange>{{22, 22}}));
  ASSERT_EQ(others->maps.size(), 1U);
  EXPECT_EQ(others->maps[0].guest_first, wire::Port{8080});
}

TEST(PortList, OutwardsTheGuestKeepsItsPorts) {
  EXPECT_TRUE(ports_out("127.0.0.1/auto").contains("both families"));
  EXPECT_EQ(ports_out("127.0.0.1/80"),
            "-T: '127.0.0.1/80': these are ports of the guest's loopback in both families; "
            "expected none, auto, or ports as 5432,8080:80,2000-2010, without some as auto,~22");
  EXPECT_TRUE(ports_out("%eth0/80").contains("both families"));
  EXPECT_EQ(ports_out("1-1025"),
            "-T: '1-1025' are 1025 ports; expected 1024 at most, those that are meant");
  for (const char* const text : {"all", "~22"}) {
    EXPECT_TRUE(ports_out(text).contains("expected 1024 at most")) << text;
  }
  EXPECT_EQ(ports_out("eighty"),
            "-T: 'eighty' are no ports; expected none, auto, or ports as "
            "5432,8080:80,2000-2010, without some as auto,~22");
}

TEST(PortList, EphemeralPortsAreTheHosts) {
  const EphemeralPorts ports = EphemeralPorts::of_host();
  EXPECT_GE(ports.first, 1);
  EXPECT_LE(ports.first, ports.last);
}

}  // namespace
}  // namespace sluice::app
