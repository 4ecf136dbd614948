#include <fmt/core.h>
#include <gtest/gtest.h>

#include "config/forward_config.h"

namespace sluice::config {
namespace {

using namespace std::chrono_literals;
using forward::Plan;
using forward::Rule;

Plan plan_of(std::string_view text) {
  const auto loaded = parse_forward_toml(text, "f.toml");
  if (!loaded) {
    ADD_FAILURE() << text << "\n" << loaded.error().front().describe();
    return {};
  }
  for (const auto& warning : loaded->warnings) ADD_FAILURE() << warning.describe();
  return loaded->plan;
}

// Every message, one a line.
std::string said_of(std::string_view text) {
  const auto loaded = parse_forward_toml(text, "f.toml");
  std::string out;
  for (const auto& m : loaded ? loaded->warnings : loaded.error()) out += m.describe() + "\n";
  return (loaded ? "" : "refused\n") + out;
}

// A rule of TCP with more settings; they begin on line 4.
std::string rule_with(std::string_view settings) {
  return fmt::format("[[forwarding_rules]]\nlisten = '8080'\ntargets = ['10.0.0.2:80']\n{}\n",
                     settings);
}

Rule rule_of(std::string_view settings) {
  const Plan plan = plan_of(rule_with(settings));
  if (plan.rules.size() == 1) return plan.rules[0];
  ADD_FAILURE() << plan.rules.size() << " rules of " << settings;
  return {};
}

std::string texts(const std::vector<policy::AddressPattern>& patterns) {
  std::string out;
  for (const auto& pattern : patterns) out += pattern.text() + " ";
  return out;
}

TEST(ForwardToml, ReadsTheReferencesRules) {
  const Plan plan = plan_of(R"(
log_file = "/var/log/oi.log"
pid_file = "/run/oi.pid"
log_format = "common"
[[global_rules]]
type = "allow"
pattern = "10.0.0.0/8"
[[global_rules]]
type = "deny"
pattern = "10.0.0.1"
[[forwarding_rules]]
bind_address = "0.0.0.0"
bind_port = 8080
connect_address = "10.0.0.2"
connect_port = 80
timeout = 60
source_address = "10.0.0.9"
[[forwarding_rules.rules]]
type = "allow"
pattern = "192.168.1.*"
[[forwarding_rules.rules]]
type = "deny"
pattern = "192.168.1.6"
)");
  EXPECT_EQ(plan.log_file, "/var/log/oi.log");
  EXPECT_EQ(plan.pid_file, "/run/oi.pid");
  EXPECT_EQ(plan.log_format, forward::LogFormat::kCommon);
  EXPECT_EQ(texts(plan.access.allow), "10.0.0.0/8 ");
  EXPECT_EQ(texts(plan.access.deny), "10.0.0.1 ");
  ASSERT_EQ(plan.rules.size(), 1u);
  const Rule& rule = plan.rules[0];
  EXPECT_EQ(rule.name, "tcp://0.0.0.0:8080");
  EXPECT_EQ(rule.where, (forward::Source{"f.toml", 11}));
  EXPECT_EQ(to_string(rule.listen), "tcp://0.0.0.0:8080");
  EXPECT_EQ(to_string(rule.targets.at(0).place), "tcp://10.0.0.2:80");
  EXPECT_EQ(rule.timeouts.idle, Duration{60s}) << "of TCP it is the idle limit";
  EXPECT_EQ(rule.timeouts.udp_session, Duration{72s});
  EXPECT_EQ(rule.socket.source, wire::parse_ip("10.0.0.9").value());
  EXPECT_EQ(texts(rule.access.allow), "192.168.1.* ");
  EXPECT_EQ(texts(rule.access.deny), "192.168.1.6 ");
}

TEST(ForwardToml, ReadsTheReferencesProtocols) {
  for (const auto& [protocol, expected] : {std::pair{"tcp", "tcp://[::1]:1 -> tcp://h:2"},
                                           {"udp", "udp://[::1]:1 -> udp://h:2"},
                                           {"udptotcp", "udp://[::1]:1 -> tcp://h:2"},
                                           {"tcptoudp", "tcp://[::1]:1 -> udp://h:2"}}) {
    const Plan plan = plan_of(fmt::format(
        "[[forwarding_rules]]\nbind_address = '::1'\nbind_port = 1\nconnect_address = 'h'\n"
        "connect_port = 2\nprotocol = '{}'\ntimeout = 5\n",
        protocol));
    ASSERT_EQ(plan.rules.size(), 1u);
    const Rule& rule = plan.rules[0];
    EXPECT_EQ(fmt::format("{} -> {}", to_string(rule.listen), to_string(rule.targets[0].place)),
              expected);
    const bool is_tcp = std::string_view(protocol) == "tcp";
    EXPECT_EQ(is_tcp ? rule.timeouts.idle : rule.timeouts.udp_session, Duration{5s}) << protocol;
  }
}

TEST(ForwardToml, ALinkLocalAddressNamesItsInterface) {
  const Plan plan = plan_of(
      "[[forwarding_rules]]\nlisten = '[fe80::1%lo]:1'\ntargets = ['[fe80::2%1]:2']\n"
      "[[forwarding_rules]]\nbind_address = 'fe80::3%lo'\nbind_port = 1\n"
      "connect_address = 'fe80::4%lo'\nconnect_port = 2\n");
  ASSERT_EQ(plan.rules.size(), 2u);
  for (const Rule& rule : plan.rules) {
    EXPECT_EQ(rule.listen.scope_id, 1u);
    EXPECT_EQ(rule.targets[0].place.scope_id, 1u);
  }
  EXPECT_EQ(to_string(plan.rules[1].listen), "tcp://[fe80::3%lo]:1");
}

TEST(ForwardToml, ReadsPortsAsText) {
  const Plan plan = plan_of(
      "[[forwarding_rules]]\nbind_address = ''\nbind_port = '8000-8009'\nconnect_address = 'h'\n"
      "connect_port = '9000-9009'\n"
      "[[forwarding_rules]]\nbind_address = '*'\nbind_port = 'domain'\nconnect_address = '::1'\n"
      "connect_port = 'domain'\nprotocol = 'udp'\n");
  ASSERT_EQ(plan.rules.size(), 2u);
  EXPECT_EQ(plan.rules[0].name, "tcp://*:8000-8009");
  EXPECT_EQ(plan.rules[0].targets.at(0).place.port_count, 10);
  EXPECT_EQ(plan.rules[1].name, "udp://*:53");
}

TEST(ForwardToml, NeedsForwardingRulesWhichMayBeEmpty) {
  EXPECT_EQ(said_of("forwarding_rules = []"), "");
  EXPECT_EQ(said_of("workers = 1"),
            "refused\nf.toml: there are no rules; expected [[forwarding_rules]] tables, or "
            "'forwarding_rules = []' for none\n");
}

TEST(ForwardToml, ReadsTopLevelSettings) {
  const Plan plan = plan_of(R"(
forwarding_rules = []
workers = 4
relay = "splice"
buffer_size = "128KiB"
pipe_size = 65536
drain_timeout = "1m"
log_format = "json"
log_file = "-"
allow = ["10.0.0.0/8", "fe80:*"]
deny = "10.6.6.6"
)");
  EXPECT_EQ(plan.workers, 4u);
  EXPECT_EQ(plan.relay, (relay::Options{relay::Mode::kSplice, 131'072, 65'536}));
  EXPECT_EQ(plan.drain_timeout, Duration{60s});
  EXPECT_EQ(plan.log_format, forward::LogFormat::kJson);
  EXPECT_EQ(plan.log_file, "-");
  EXPECT_EQ(texts(plan.access.allow), "10.0.0.0/8 fe80:* ");
  EXPECT_EQ(texts(plan.access.deny), "10.6.6.6 ");
}

TEST(ForwardToml, ReadsTargetsOfAnyForm) {
  const Plan plan = plan_of(R"(
[[forwarding_rules]]
listen = "tcp://[::]:8080"
targets = ["10.0.0.2:80", {to = "db.example:5432", weight = 3},
           {to = "unix:/run/x.sock", weight = 0}]
balance = "client-hash"
[[forwarding_rules]]
listen = "udp://*:53"
targets = "10.0.0.3:53"
[[forwarding_rules]]
listen = "9000"
protocol = "tcptoudp"
targets = ["10.0.0.3:53"]
)");
  ASSERT_EQ(plan.rules.size(), 3u);
  const auto& targets = plan.rules[0].targets;
  ASSERT_EQ(targets.size(), 3u);
  EXPECT_EQ(to_string(targets[0].place), "tcp://10.0.0.2:80");
  EXPECT_EQ(targets[0].weight, 1u);
  EXPECT_EQ(to_string(targets[1].place), "tcp://db.example:5432");
  EXPECT_EQ(targets[1].weight, 3u);
  EXPECT_EQ(to_string(targets[2].place), "unix:/run/x.sock");
  EXPECT_EQ(targets[2].weight, 0u);
  EXPECT_EQ(plan.rules[0].balance, forward::Balance::kClientHash);
  EXPECT_EQ(to_string(plan.rules[1].targets.at(0).place), "udp://10.0.0.3:53");
  EXPECT_EQ(to_string(plan.rules[2].targets.at(0).place), "udp://10.0.0.3:53");
}

TEST(ForwardToml, RefusesControlCharacters) {
  const auto loaded = parse_forward_toml("forwarding_rules = []\n[[ \x1f", "f.toml");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().front().describe(),
            "f.toml:2: not TOML: a control character, 0x1f; expected text");
}

TEST(ForwardToml, ReadsLimitsAndTimeouts) {
  const Rule rule = rule_of(
      "limits = {connections = 1000, new_per_second = 50, to_target_rate = '10MiB', "
      "to_client_rate = '1GB'}\n"
      "client_limits = {connections = 5, to_client_rate = 100}\n"
      "timeouts = {connect = 0.5, idle = '1h', half_closed = 0, udp_session = '20s', "
      "proxy_header = '250ms'}");
  EXPECT_EQ(rule.limits, (forward::LimitPlan{1000, 50, 10'485'760, 1'000'000'000}));
  EXPECT_EQ(rule.client_limits, (forward::LimitPlan{5, 0, 0, 100}));
  EXPECT_EQ(rule.timeouts, (forward::TimeoutPlan{500ms, 1h, {}, 20s, 250ms}));
}

TEST(ForwardToml, ReadsHealthAndKeepalive) {
  EXPECT_EQ(rule_of("").health, forward::HealthPlan{});
  EXPECT_TRUE(rule_of("health = true").health.enabled);
  EXPECT_FALSE(rule_of("health = false").health.enabled);
  EXPECT_EQ(rule_of("health = {interval = '5s', timeout = '1s', rise = 4, fall = 1}").health,
            (forward::HealthPlan{true, 5s, 1s, 4, 1}));
  EXPECT_FALSE(rule_of("keepalive = false").socket.keepalive.enabled);
  EXPECT_EQ(rule_of("keepalive = {idle = '60s', interval = 10, count = 6}").socket.keepalive,
            (forward::KeepAlivePlan{true, 60, 10, 6}));
}

TEST(ForwardToml, ReadsSocketSettings) {
  const auto socket = rule_of(
                          "listen_device = 'eth0'\ntarget_device = 'eth1'\nmark = 0x10\n"
                          "fast_open = true\nmultipath = true\nreceive_buffer = '1MiB'\n"
                          "send_buffer = 4096\nsource_address = '10.0.0.9'")
                          .socket;
  EXPECT_EQ(socket.listen_device, "eth0");
  EXPECT_EQ(socket.target_device, "eth1");
  EXPECT_EQ(socket.mark, 16u);
  EXPECT_TRUE(socket.fast_open);
  EXPECT_TRUE(socket.multipath);
  EXPECT_EQ(socket.receive_buffer, 1'048'576u);
  EXPECT_EQ(socket.send_buffer, 4096u);
  EXPECT_TRUE(rule_of("transparent = true").socket.transparent);
}

TEST(ForwardToml, ReadsTheOtherSettingsOfARule) {
  const Rule rule = rule_of(
      "name = 'web'\nproxy_protocol_in = true\nproxy_protocol_out = 'v2'\nrelay = 'copy'\n"
      "allow = ['10.*']\ndeny = ['10.0.0.1']");
  EXPECT_EQ(rule.name, "web");
  EXPECT_EQ(rule.proxy_in, forward::ProxyIn::kRequired);
  EXPECT_EQ(rule.proxy_out, forward::ProxyOut::kV2);
  EXPECT_EQ(rule.relay, relay::Mode::kCopy);
  EXPECT_EQ(texts(rule.access.allow), "10.* ");
  EXPECT_EQ(texts(rule.access.deny), "10.0.0.1 ");
  EXPECT_EQ(plan_of("[[forwarding_rules]]\nlisten = 'udp://:53'\ntargets = ['tcp://h:53']\n"
                    "framing = 'length16'\n")
                .rules.at(0)
                .framing,
            forward::Framing::kLength16);
}

TEST(ForwardToml, WarnsOfUnknownKeys) {
  EXPECT_EQ(said_of("worker = 3\nforwarding_rules = []\nqwertyuiop = 1\n"),
            "f.toml:1: unknown key 'worker' has no effect; did you mean 'workers'?\n"
            "f.toml:3: unknown key 'qwertyuiop' has no effect\n");
  EXPECT_EQ(said_of(rule_with("timeouts = {conect = 1}\nconect_port = 3")),
            "f.toml:4: unknown key 'timeouts.conect' has no effect; did you mean "
            "'timeouts.connect'?\n"
            "f.toml:5: unknown key 'conect_port' has no effect; did you mean 'connect_port'?\n");
}

TEST(ForwardToml, AnUnknownKeyMayBeWhyAnotherIsMissing) {
  EXPECT_EQ(said_of("[[forwarding_rules]]\nlisten = '8080'\ntarget = ['10.0.0.2:80']\n"),
            "refused\n"
            "f.toml:1: the rule has no target; expected targets = [\"10.0.0.2:80\"], or "
            "connect_address and connect_port\n"
            "f.toml:3: unknown key 'target' has no effect; did you mean 'targets'?\n");
}

TEST(ForwardToml, RefusesWhatIsNoToml) {
  const std::string said = said_of("workers = 1\n[[forwarding_rules\n");
  EXPECT_TRUE(said.starts_with("refused\nf.toml:2: not TOML: ")) << said;
}

// Each line is wrong in its own way, and each is told.
TEST(ForwardToml, NamesEveryWrongValueWithItsLine) {
  EXPECT_EQ(said_of("workers = -1\nrelay = 'fast'\nlog_format = 3\nbuffer_size = '1B'\n"
                    "drain_timeout = 'soon'\ndeny = ['10.0.0.0/99', 4]\nlog_file = \"a\\u0000b\"\n"
                    "global_rules = [3]\nforwarding_rules = 3\n"),
            "refused\n"
            "f.toml:1: 'workers' is -1; expected 0 to 1024\n"
            "f.toml:2: 'relay' is 'fast'; expected \"auto\", \"copy\" or \"splice\"\n"
            "f.toml:3: 'log_format' is an integer; expected a string in quotes\n"
            "f.toml:4: 'buffer_size' is 1B; expected 1KiB to 16MiB\n"
            "f.toml:5: 'drain_timeout' is no duration; expected a duration as 90 (seconds), "
            "\"500ms\", \"5s\", \"10m\" or \"1h\", at most ten years\n"
            "f.toml:6: 'deny' holds an integer; expected patterns in quotes as [\"10.0.0.0/8\", "
            "\"192.168.1.*\"]\n"
            "f.toml:6: '10.0.0.0/99' is not an address pattern; expected a prefix length from 0 to "
            "32 (IPv4) or from 0 to 128 (IPv6)\n"
            "f.toml:7: 'log_file' holds a zero byte; remove it\n"
            "f.toml:8: 'global_rules' holds an integer; expected tables, each under "
            "[[global_rules]]\n"
            "f.toml:9: 'forwarding_rules' is an integer; expected tables, each under "
            "[[forwarding_rules]]\n");
}

TEST(ForwardToml, NamesEveryWrongSettingOfARule) {
  for (const auto& [settings, expected] : {
           std::pair{"balance = 'random'",
                     "'balance' is 'random'; expected \"round-robin\", "
                     "\"least-connections\" or \"client-hash\""},
           {"health = 1",
            "'health' is an integer; expected true, false, or a table of its settings"},
           {"health = {rise = 0}", "'health.rise' is 0; expected 1 to 4294967295"},
           {"limits = 5", "'limits' is an integer; expected a table as {key = value}"},
           {"limits = {connections = 'many'}",
            "'limits.connections' is a string; expected a whole number from 0 to 4294967295"},
           {"timeouts = {connect = 0}", "'timeouts.connect' is 0s; expected 1ms at least"},
           {"timeouts = {idle = -1}",
            "'timeouts.idle' is no duration; expected a duration as 90 (seconds), \"500ms\", "
            "\"5s\", \"10m\" or \"1h\", at most ten years"},
           {"keepalive = {idle = 0.5}", "'keepalive.idle' is 500ms; expected 1s at least"},
           {"keepalive = {idle = 1.5}",
            "'keepalive.idle' is 1500ms; expected whole seconds, at most 32767s"},
           {"mark = 4294967296", "'mark' is 4294967296; expected 0 to 4294967295"},
           {"listen_device = 'a-name-that-is-too-long'",
            "'listen_device' is 'a-name-that-is-too-long'; expected the name of an interface as "
            "\"eth0\""},
           {"source_address = 'host'",
            "'source_address' is 'host'; expected an address of this host as \"10.1.1.2\""},
           {"proxy_protocol_in = 'v1'", "'proxy_protocol_in' is a string; expected true or false"},
           {"receive_buffer = 2026-01-01",
            "'receive_buffer' is a date or time; expected a number of bytes as 65536, \"64KiB\" or "
            "\"10MB\""},
           {"rules = [{type = 'allow'}]",
            "an access rule under [[rules]] has no 'pattern'; expected type = \"allow\" or "
            "\"deny\", and a pattern"},
           {"rules = [{type = 'permit', pattern = '*'}]",
            "'rules.type' is 'permit'; expected \"allow\" or \"deny\""},
       }) {
    EXPECT_EQ(said_of(rule_with(settings)), fmt::format("refused\nf.toml:4: {}\n", expected));
  }
}

TEST(ForwardToml, NamesWrongPlaces) {
  const auto said = [](std::string_view settings) {
    return said_of(fmt::format("[[forwarding_rules]]\n{}\n", settings));
  };
  EXPECT_EQ(said("listen = '80'\ntargets = ['[fe80::1%nope0]:1']"),
            "refused\n"
            "f.toml:3: 'targets': 'nope0' is no interface of this host; expected the name or the "
            "number of one behind the '%' of 'fe80::1%nope0'; 'ip link' lists them\n");
  EXPECT_EQ(said("listen = '80x'\ntargets = ['h']"),
            "refused\n"
            "f.toml:2: 'listen': '80x' has no port; expected PORT or ADDRESS:PORT as 8080 or "
            "[::]:8080\n"
            "f.toml:3: 'targets': 'h' has no port; expected HOST:PORT as 10.0.0.2:80\n");
  EXPECT_EQ(said("listen = '80'\nbind_port = 80\ntargets = []"),
            "refused\n"
            "f.toml:2: 'listen' stands beside bind_address or bind_port; expected one of the two "
            "forms\n"
            "f.toml:4: 'targets' is empty; expected one at least\n");
  EXPECT_EQ(said("bind_port = 0\nconnect_address = 'h'\nconnect_port = true"),
            "refused\n"
            "f.toml:1: the rule has no 'bind_address'; expected it beside 'bind_port'\n"
            "f.toml:2: 'bind_port' is 0; expected 1 to 65535\n"
            "f.toml:4: 'connect_port' is a boolean; expected a string in quotes\n");
  EXPECT_EQ(said("listen = 'udp://:53'\nprotocol = 'tcp'\ntargets = [{weight = 3}, 4]"),
            "refused\n"
            "f.toml:2: 'listen': 'udp://:53' is not what 'protocol' says; remove 'protocol'\n"
            "f.toml:4: a target has no address; expected {to = \"10.0.0.2:80\", weight = 1}\n"
            "f.toml:4: 'targets' holds an integer; expected \"10.0.0.2:80\" or {to = "
            "\"10.0.0.2:80\", weight = 1}\n");
}

TEST(ForwardToml, RefusesSettingsThatDoNotGoTogether) {
  const auto said = [](std::string_view listen, std::string_view target,
                       std::string_view settings) {
    return said_of(fmt::format("[[forwarding_rules]]\nlisten = '{}'\ntargets = ['{}']\n{}\n",
                               listen, target, settings));
  };
  EXPECT_EQ(said("80", "h:80", "proxy_protocol_from = '10.0.0.0/8'"),
            "refused\nf.toml:1: proxy_protocol_from says who may send a header, and none is "
            "expected; set proxy_protocol_in = true, or remove it\n");
  EXPECT_EQ(said("udp://:53", "h:53", "proxy_protocol_in = true"),
            "refused\nf.toml:1: proxy_protocol_in needs a listener on TCP or a UNIX socket; "
            "datagrams carry no header\n");
  EXPECT_EQ(said("udp://:53", "tcp://h:53", "proxy_protocol_out = 'v1'"),
            "refused\nf.toml:1: proxy_protocol_out needs TCP or UNIX sockets on both sides; "
            "datagrams carry no header\n");
  EXPECT_EQ(said("80", "h:53", "framing = 'length16'"),
            "refused\nf.toml:1: framing needs a rule that crosses protocols, as from udp:// to "
            "tcp://; remove it\n");
  EXPECT_EQ(said("80", "udp://h:53", "health = true"),
            "refused\nf.toml:1: health checks connect, so they need TCP or UNIX targets; remove "
            "health\n");
  EXPECT_EQ(said("unix:/x", "h:53", "transparent = true"),
            "refused\nf.toml:1: transparent needs clients with an address; a UNIX socket's have "
            "none\n");
  EXPECT_EQ(said("80", "unix:/x", "transparent = true"),
            "refused\nf.toml:1: transparent needs TCP or UDP targets; unix:/x has no addresses\n");
  EXPECT_EQ(said("80", "h:1", "transparent = true\nsource_address = '10.0.0.1'"),
            "refused\nf.toml:1: transparent connects from the client's address and source_address "
            "from a fixed one; expected one of them\n");
  EXPECT_EQ(said("80-82", "h:1-2", ""),
            "refused\nf.toml:1: target tcp://h:1-2 has 2 port(s) and the listener tcp://*:80-82 "
            "has 3; expected as many, as 1-3\n");
  EXPECT_EQ(said("80", "tcp://h:1', 'udp://h:1", ""),
            "refused\nf.toml:1: targets tcp://h:1 and udp://h:1 are of different protocols; "
            "expected one protocol for all\n");
  EXPECT_EQ(said("80", "[::1]:1", "source_address = '10.0.0.1'"),
            "f.toml:1: source_address 10.0.0.1 cannot reach target tcp://[::1]:1: one is IPv4, the "
            "other IPv6\n");
  EXPECT_EQ(said("udp://:53", "h:1", "relay = 'copy'\nfast_open = true\nmultipath = true"),
            "f.toml:1: relay has no effect on datagrams\n"
            "f.toml:1: fast_open has no effect on UDP\n"
            "f.toml:1: multipath has no effect on UDP\n");
}

TEST(ForwardToml, RefusesListenersThatMeet) {
  const auto said = [](std::string_view a, std::string_view b) {
    const auto target = [](std::string_view listen) {
      return listen.find('-') == std::string_view::npos ? "h:1" : "h:1-10";
    };
    return said_of(
        fmt::format("[[forwarding_rules]]\nlisten = '{}'\ntargets = ['{}']\n"
                    "[[forwarding_rules]]\nlisten = '{}'\ntargets = ['{}']\n",
                    a, target(a), b, target(b)));
  };
  EXPECT_EQ(said("8000-8009", "8005"),
            "refused\nf.toml:4: listens on tcp://*:8005 as line 1 does on tcp://*:8000-8009; "
            "expected another address or port\n");
  EXPECT_NE(said("8005", "8000-8009"), "");
  EXPECT_NE(said("[::]:80", "80"), "") << "both are every address";
  EXPECT_NE(said("[::0:1]:80", "[::1]:80"), "") << "one address in two texts";
  EXPECT_NE(said("unix:/x", "unix:/x"), "");
  EXPECT_NE(said("systemd:a", "systemd:a"), "");
  EXPECT_EQ(said("8000-8009", "8010"), "");
  EXPECT_EQ(said("80", "127.0.0.1:80"), "");
  EXPECT_EQ(said("80", "udp://:80"), "");
  EXPECT_EQ(said("unix:/x", "unix:/y"), "");
}

TEST(ForwardToml, FindsAListenerThatMeetsALongRangeBehindAShortOne) {
  EXPECT_EQ(said_of("[[forwarding_rules]]\nlisten = '100-200'\ntargets = ['h:100-200']\n"
                    "[[forwarding_rules]]\nlisten = '110'\ntargets = ['h:1']\n"
                    "[[forwarding_rules]]\nlisten = '150'\ntargets = ['h:1']\n"),
            "refused\n"
            "f.toml:4: listens on tcp://*:110 as line 1 does on tcp://*:100-200; expected another "
            "address or port\n"
            "f.toml:7: listens on tcp://*:150 as line 1 does on tcp://*:100-200; expected another "
            "address or port\n");
}

TEST(ForwardToml, RefusesANameThatIsThereTwice) {
  EXPECT_EQ(said_of("[[forwarding_rules]]\nname = 'web'\nlisten = '80'\ntargets = ['h:1']\n"
                    "[[forwarding_rules]]\nname = 'web'\nlisten = '81'\ntargets = ['h:1']\n"),
            "refused\nf.toml:5: name 'web' is that of line 1 too; expected another, as logs and "
            "counters go by it\n");
  EXPECT_NE(said_of("[[forwarding_rules]]\nname = 'tcp://*:81'\nlisten = '80'\ntargets = ['h:1']\n"
                    "[[forwarding_rules]]\nlisten = '81'\ntargets = ['h:1']\n"),
            "");
}

}  // namespace
}  // namespace sluice::config
