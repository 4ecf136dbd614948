#include "forward/plan.h"

#include <gtest/gtest.h>

#include <functional>
#include <utility>

namespace sluice::forward {
namespace {

Rule some_rule() {
  Rule rule;
  rule.name = "web";
  rule.where = {"a.toml", 3};
  rule.listen.host = "*";
  rule.listen.port = 8080;
  rule.targets.push_back({.place = {.host = "10.0.0.2", .port = 80}});
  return rule;
}

TEST(Plan, NamesPlaces) {
  Place place{.host = "10.0.0.1", .port = 80};
  EXPECT_EQ(to_string(place), "tcp://10.0.0.1:80");
  place = {.protocol = policy::Protocol::kUdp, .host = "::", .port = 53};
  EXPECT_EQ(to_string(place), "udp://[::]:53");
  place = {.host = "db.example", .port = 8000, .port_count = 10};
  EXPECT_EQ(to_string(place), "tcp://db.example:8000-8009");
  EXPECT_EQ(to_string(Place{.host = "*", .port = 80}), "tcp://*:80");
  EXPECT_EQ(to_string(Place{.port = 80}), "tcp://localhost:80");
  EXPECT_EQ(to_string(Place{.host = "h", .port = 65'534, .port_count = 2}), "tcp://h:65534-65535");
  EXPECT_EQ(to_string(Place{.path = "/run/x.sock"}), "unix:/run/x.sock");
  EXPECT_EQ(to_string(Place{.path = "@name"}), "unix:@name");
  EXPECT_EQ(to_string(Place{.inherited = "web"}), "systemd:web");
  EXPECT_EQ(to_string(Place{.protocol = policy::Protocol::kUdp, .inherited = "dns"}),
            "systemd:udp:dns");
}

TEST(Plan, ARuleThatMovedInItsFileIsTheSame) {
  Rule moved = some_rule();
  moved.where = {"b.toml", 99};
  EXPECT_TRUE(some_rule().same_as(moved));
}

TEST(Plan, ARuleThatDoesSomethingElseIsAnother) {
  const std::pair<const char*, std::function<void(Rule&)>> changes[] = {
      {"name", [](Rule& r) { r.name = "other"; }},
      {"listen", [](Rule& r) { r.listen.port = 81; }},
      {"targets", [](Rule& r) { r.targets[0].weight = 2; }},
      {"balance", [](Rule& r) { r.balance = Balance::kClientHash; }},
      {"access",
       [](Rule& r) { r.access.deny.push_back(policy::AddressPattern::parse("10.*").value()); }},
      {"limits", [](Rule& r) { r.limits.connections = 1; }},
      {"client_limits", [](Rule& r) { r.client_limits.to_client_rate = 1; }},
      {"timeouts", [](Rule& r) { r.timeouts.idle = std::chrono::hours{1}; }},
      {"health", [](Rule& r) { r.health.enabled = true; }},
      {"proxy_in", [](Rule& r) { r.proxy_in = ProxyIn::kRequired; }},
      {"proxy_out", [](Rule& r) { r.proxy_out = ProxyOut::kV2; }},
      {"framing", [](Rule& r) { r.framing = Framing::kLength16; }},
      {"socket", [](Rule& r) { r.socket.keepalive.idle_seconds = 5; }},
      {"relay", [](Rule& r) { r.relay = relay::Mode::kCopy; }},
  };
  for (const auto& [member, change] : changes) {
    Rule changed = some_rule();
    change(changed);
    EXPECT_FALSE(some_rule().same_as(changed)) << member;
    EXPECT_TRUE(changed.same_as(changed)) << member;
  }
}

TEST(Plan, NamesSettings) {
  EXPECT_EQ(to_string(Balance::kRoundRobin), "round-robin");
  EXPECT_EQ(to_string(Balance::kLeastConnections), "least-connections");
  EXPECT_EQ(to_string(Balance::kClientHash), "client-hash");
  EXPECT_EQ(to_string(LogFormat::kRinetd), "rinetd");
  EXPECT_EQ(to_string(LogFormat::kCommon), "common");
  EXPECT_EQ(to_string(LogFormat::kJson), "json");
}

}  // namespace
}  // namespace sluice::forward
