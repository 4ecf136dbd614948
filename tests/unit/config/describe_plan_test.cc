#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "config/forward_config.h"

namespace sluice::config {
namespace {

forward::Plan plan_of(std::string_view text) {
  return parse_forward_toml(text, "f.toml").value().plan;
}

TEST(DescribePlan, AlignsWhatMatters) {
  EXPECT_EQ(describe_plan(plan_of(R"(
log_file = "-"
log_format = "json"
deny = ["10.6.6.6", "10.7.*"]
[[forwarding_rules]]
name = "web"
listen = "tcp://[::]:443"
targets = ["10.0.0.2:443", {to = "b.example:443", weight = 0}]
health = true
limits = {connections = 9, to_client_rate = "1MB"}
client_limits = {new_per_second = 3}
proxy_protocol_in = true
proxy_protocol_out = "v1"
allow = ["10.*"]
source_address = "10.0.0.9"
mark = 7
fast_open = true
receive_buffer = "64KiB"
keepalive = {idle = 5}
[[forwarding_rules]]
listen = "udp://:53"
targets = ["tcp://10.0.0.3:53"]
framing = "length16"
)")),
            R"(2 rules
  log             standard output, format json
  workers         one per core
  relay           auto, buffers 64KiB, pipes 1MiB
  drain           30s at most
  deny            10.6.6.6
                  10.7.*

web  (f.toml:5)
  listen          tcp://[::]:443
  target          tcp://10.0.0.2:443
                  tcp://b.example:443  weight 0
  balance         round-robin
  allow           10.*
  limits          connections 9, to client 1MB/s
  client limits   new 3/s
  timeouts        connect 10s, idle never, half closed 10m, PROXY header 5s
  health          every 2s, timeout 2s, up after 2, down after 3
  PROXY in        required
  PROXY out       v1
  connect from    10.0.0.9
  mark            7
  tcp             fast open
  socket buffers  receive 64KiB
  keepalive       idle 5s

udp://*:53  (f.toml:20)
  listen          udp://*:53
  target          tcp://10.0.0.3:53
  timeouts        connect 10s, session 72s
  framing         length16
)");
}

TEST(DescribePlan, OfACommandLineNamesNoFile) {
  forward::Plan plan;
  plan.rules.push_back(parse_rule_words("8080", "10.0.0.2:80").value());
  EXPECT_TRUE(describe_plan(plan).starts_with("1 rule\n"));
  EXPECT_NE(describe_plan(plan).find("\n\ntcp://*:8080\n  listen"), std::string::npos);
}

TEST(DescribePlan, JsonHasEverySetting) {
  const auto json = nlohmann::json::parse(describe_plan_json(plan_of(R"(
relay = "copy"
drain_timeout = "500ms"
allow = ["10.*"]
[[forwarding_rules]]
listen = "8080"
targets = ["10.0.0.2:80", {to = "b.example:443", weight = 4}]
mark = 7
timeouts = {idle = "1h"}
)")));
  EXPECT_EQ(json["relay"], "copy");
  EXPECT_EQ(json["drain_timeout"], 0.5);
  EXPECT_EQ(json["allow"][0], "10.*");
  EXPECT_TRUE(json["log_file"].is_null());
  const auto& rule = json["forwarding_rules"].at(0);
  EXPECT_EQ(rule["name"], "tcp://*:8080");
  EXPECT_EQ(rule["line"], 5);
  EXPECT_EQ(rule["targets"][1]["to"], "tcp://b.example:443");
  EXPECT_EQ(rule["targets"][1]["weight"], 4);
  EXPECT_EQ(rule["timeouts"]["idle"], 3600.0);
  EXPECT_EQ(rule["relay"], "copy");
  EXPECT_EQ(rule["mark"], 7);
  EXPECT_TRUE(rule["source_address"].is_null());
  EXPECT_EQ(rule["health"]["enabled"], false);
}

TEST(DescribePlan, JsonOfAPathThatIsNoUtf8) {
  const auto loaded = parse_rinetd_conf("logfile /\xff\xfe\n", "r.conf").value();
  EXPECT_FALSE(nlohmann::json::parse(describe_plan_json(loaded.plan))["log_file"].is_null());
}

}  // namespace
}  // namespace sluice::config
