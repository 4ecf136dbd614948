#include "app/forward/forward_options.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>

namespace sluice::app {
namespace {

using namespace std::chrono_literals;
using Words = std::vector<const char*>;

ForwardOptions options(const Words& words) {
  auto parsed = parse_forward_options(words);
  EXPECT_TRUE(parsed.has_value()) << (parsed ? "" : parsed.error().text);
  return parsed ? *parsed : ForwardOptions{};
}

forward::Plan plan(const Words& words) {
  const ForwardOptions o = options(words);
  forward::Plan made;
  made.rules = o.rules;
  o.overrides.apply(made);
  return made;
}

// The first rule; an empty one after a failure.
forward::Rule rule(const Words& words) {
  const ForwardOptions o = options(words);
  EXPECT_FALSE(o.rules.empty());
  return o.rules.empty() ? forward::Rule{} : o.rules.front();
}

// The message without "sluice forward: " and the way to help, which every mistake has.
std::string mistake(const Words& words) {
  const auto parsed = parse_forward_options(words);
  if (parsed) return "accepted";
  EXPECT_EQ(parsed.error().exit_code, 2);
  std::string text = parsed.error().text;
  constexpr std::string_view kBefore = "sluice forward: ";
  constexpr std::string_view kAfter = "; see 'sluice forward --help'\n";
  EXPECT_TRUE(text.starts_with(kBefore) && text.ends_with(kAfter)) << text;
  text = text.substr(kBefore.size(), text.size() - kBefore.size() - kAfter.size());
  EXPECT_EQ(text.find('\n'), std::string::npos) << "one line only: " << text;
  return text;
}

TEST(ForwardOptions, APairOfWordsIsARule) {
  const ForwardOptions o = options({"8080", "10.0.0.2:80"});
  ASSERT_EQ(o.rules.size(), 1u);
  EXPECT_EQ(o.rules[0].listen.port, 8080);
  ASSERT_EQ(o.rules[0].targets.size(), 1u);
  EXPECT_EQ(o.rules[0].targets[0].place.host, "10.0.0.2");
  EXPECT_EQ(o.rules[0].targets[0].place.port, 80);
  EXPECT_TRUE(o.config_file.empty());
  EXPECT_EQ(o.check, CheckFormat::kNone);
  EXPECT_TRUE(o.watch);
  EXPECT_FALSE(o.verbose);
  EXPECT_EQ(o.log_level, telemetry::LogLevel::kWarn);
}

TEST(ForwardOptions, WithoutOptionsThePlanHasItsDefaults) {
  const forward::Plan made = plan({"8080", "10.0.0.2:80"});
  const forward::Plan defaults;
  EXPECT_EQ(made.relay, defaults.relay);
  EXPECT_EQ(made.workers, defaults.workers);
  EXPECT_EQ(made.drain_timeout, defaults.drain_timeout);
  EXPECT_TRUE(made.access.empty());
  EXPECT_TRUE(made.log_file.empty() && made.pid_file.empty());
  EXPECT_EQ(made.rules[0].timeouts, forward::TimeoutPlan{});
}

TEST(ForwardOptions, SeveralPairsAndOptionsBetweenThem) {
  const ForwardOptions o = options({"8080", "10.0.0.2:80", "--relay=copy", "udp://127.0.0.1:53",
                                    "udp://10.0.0.3:53", "-v", "--", "9000", "[fd00::1]:9"});
  ASSERT_EQ(o.rules.size(), 3u);
  EXPECT_TRUE(o.rules[1].listens_udp() && o.rules[1].targets_udp());
  EXPECT_EQ(o.rules[2].targets[0].place.host, "fd00::1");
  EXPECT_EQ(o.overrides.relay, relay::Mode::kCopy);
  EXPECT_TRUE(o.verbose);
}

TEST(ForwardOptions, TargetsAreSeparatedByCommas) {
  const forward::Rule r =
      rule({"--balance", "client-hash", "8080", "10.0.0.2:80,[fd00::1]:81,db.example:82"});
  ASSERT_EQ(r.targets.size(), 3u);
  EXPECT_EQ(r.targets[1].place.host, "fd00::1");
  EXPECT_EQ(r.targets[2].place.host, "db.example");
  EXPECT_EQ(r.targets[2].place.port, 82);
  EXPECT_EQ(r.balance, forward::Balance::kClientHash);
  EXPECT_TRUE(mistake({"8080", "10.0.0.2:80,"}).starts_with("'8080 10.0.0.2:80,': "));
  EXPECT_TRUE(mistake({"8080", ",10.0.0.2:80"}).starts_with("'8080 ,10.0.0.2:80': "));
}

TEST(ForwardOptions, EveryOptionOfRulesArrives) {
  const forward::Rule r =
      rule({"--connect-from", "10.1.1.2", "--proxy-in", "--proxy-out=v2", "--timeout-connect",
            "500ms", "--timeout-idle", "1h", "--timeout-half-closed", "0", "--timeout-udp", "90",
            "8080", "10.0.0.2:80"});
  ASSERT_TRUE(r.socket.source.has_value());
  EXPECT_EQ(wire::to_string(*r.socket.source), "10.1.1.2");
  EXPECT_EQ(r.proxy_in, forward::ProxyIn::kRequired);
  EXPECT_EQ(r.proxy_out, forward::ProxyOut::kV2);
  EXPECT_EQ(r.timeouts.connect, 500ms);
  EXPECT_EQ(r.timeouts.idle, 1h);
  EXPECT_EQ(r.timeouts.half_closed, Duration{});
  EXPECT_EQ(r.timeouts.udp_session, 90s);
  EXPECT_EQ(rule({"--framing=length16", "udp://:53", "tcp://10.0.0.3:53"}).framing,
            forward::Framing::kLength16);
}

TEST(ForwardOptions, OptionsOfRulesGoWhereTheyFit) {
  const ForwardOptions o = options(
      {"--proxy-out=v1", "--proxy-in", "8080", "10.0.0.2:80", "udp://:53", "udp://10.0.0.3:53"});
  ASSERT_EQ(o.rules.size(), 2u);
  EXPECT_EQ(o.rules[0].proxy_out, forward::ProxyOut::kV1);
  EXPECT_EQ(o.rules[1].proxy_out, forward::ProxyOut::kOff);
  EXPECT_EQ(o.rules[1].proxy_in, forward::ProxyIn::kOff);
  EXPECT_EQ(mistake({"--balance=client-hash", "8080", "10.0.0.2:80"}),
            "--balance: no rule can have it; expected several targets, separated by commas");
  EXPECT_EQ(mistake({"--proxy-from=10.0.0.1", "8080", "10.0.0.2:80"}),
            "--proxy-from: no rule can have it; expected --proxy-in as well");
  EXPECT_EQ(rule({"--proxy-in", "--proxy-from=10.0.0.0/8", "--proxy-from=::1", "8080", "h:80"})
                .proxy_from.size(),
            2U);
  EXPECT_EQ(mistake({"--proxy-in", "udp://:53", "udp://10.0.0.3:53"}),
            "--proxy-in: no rule can have it; expected a listener of tcp");
  EXPECT_EQ(mistake({"--proxy-out=v1", "udp://:53", "udp://10.0.0.3:53"}),
            "--proxy-out: no rule can have it; expected one from tcp to tcp");
  EXPECT_EQ(mistake({"--framing=length16", "8080", "10.0.0.3:53"}),
            "--framing: no rule can have it; expected one from udp to tcp or from tcp to udp");
}

TEST(ForwardOptions, EveryOptionOfThePlanArrives) {
  const ForwardOptions o =
      options({"-c",         "rules.toml",        "--check=json", "--relay",
               "splice",     "--buffer-size",     "256KiB",       "--workers",
               "3",          "--drain-timeout",   "5s",           "--log-file",
               "-",          "--log-format=json", "--pid-file",   "p",
               "--no-watch", "--allow",           "10.0.0.0/8",   "--allow=192.168.1.*",
               "--deny",     "10.6.6.6",          "--log-level",  "debug"});
  EXPECT_EQ(o.config_file, "rules.toml");
  EXPECT_TRUE(o.rules.empty());
  EXPECT_EQ(o.check, CheckFormat::kJson);
  EXPECT_FALSE(o.watch);
  EXPECT_EQ(o.log_level, telemetry::LogLevel::kDebug);

  forward::Plan file;
  file.log_file = "of the file";
  file.access.deny.push_back(policy::AddressPattern::parse("10.7.7.7").value());
  o.overrides.apply(file);
  EXPECT_EQ(file.relay.mode, relay::Mode::kSplice);
  EXPECT_EQ(file.relay.buffer_size, 262'144u);
  EXPECT_EQ(file.workers, 3u);
  EXPECT_EQ(file.drain_timeout, 5s);
  EXPECT_EQ(file.log_file, "-");
  EXPECT_EQ(file.log_format, forward::LogFormat::kJson);
  EXPECT_EQ(file.pid_file, "p");
  ASSERT_EQ(file.access.allow.size(), 2u);
  EXPECT_EQ(file.access.allow[1].text(), "192.168.1.*");
  ASSERT_EQ(file.access.deny.size(), 2u) << "in addition to the file's, which stays in force";
  EXPECT_EQ(file.access.deny[0].text(), "10.7.7.7");
}

TEST(ForwardOptions, WhatIsNotGivenLeavesTheFileAlone) {
  const ForwardOptions o = options({"-crules.toml", "--check"});
  EXPECT_EQ(o.check, CheckFormat::kText);
  forward::Plan file;
  file.relay.mode = relay::Mode::kCopy;
  file.relay.buffer_size = 8192;
  file.workers = 2;
  file.drain_timeout = 1s;
  file.log_file = "l";
  file.log_format = forward::LogFormat::kCommon;
  file.pid_file = "p";
  o.overrides.apply(file);
  EXPECT_EQ(file.relay, (relay::Options{.mode = relay::Mode::kCopy, .buffer_size = 8192}));
  EXPECT_EQ(file.workers, 2u);
  EXPECT_EQ(file.drain_timeout, 1s);
  EXPECT_EQ(file.log_file, "l");
  EXPECT_EQ(file.log_format, forward::LogFormat::kCommon);
  EXPECT_EQ(file.pid_file, "p");
}

TEST(ForwardOptions, TheLastValueCounts) {
  EXPECT_EQ(options({"-c", "a", "--config", "b"}).config_file, "b");
  EXPECT_EQ(options({"-c", "a", "--workers=1", "--workers=2"}).overrides.workers, 2u);
}

TEST(ForwardOptions, HelpAndVersionGoToStandardOutput) {
  for (const char* word : {"--help", "-h", "--version", "-V"}) {
    const auto parsed = parse_forward_options(Words{"8080", word});
    ASSERT_FALSE(parsed.has_value());
    EXPECT_EQ(parsed.error().exit_code, 0) << word;
  }
}

TEST(ForwardOptions, WordsMustMakePairs) {
  EXPECT_EQ(mistake({"8080"}), "'8080' has no target; expected LISTEN TARGET pairs");
  EXPECT_EQ(mistake({"8080", "10.0.0.2:80", "81"}),
            "'81' has no target; expected LISTEN TARGET pairs");
  EXPECT_EQ(mistake({}),
            "nothing to forward; expected -c FILE or LISTEN TARGET, as in 'sluice forward 8080 "
            "10.0.0.2:80'");
  EXPECT_EQ(mistake({"-c", "f", "8080", "10.0.0.2:80"}),
            "'8080': rules of the command line and --config exclude each other");
  EXPECT_TRUE(mistake({"8080x", "10.0.0.2:80"}).starts_with("'8080x 10.0.0.2:80': "));
  EXPECT_TRUE(mistake({"8080", "10.0.0.2"}).starts_with("'8080 10.0.0.2': "));
}

TEST(ForwardOptions, OptionsOfRulesDoNotGoWithAFile) {
  for (const char* option : {"--balance=client-hash", "--connect-from=10.0.0.1", "--proxy-in",
                             "--proxy-out=v1", "--framing=none", "--timeout-connect=1",
                             "--timeout-idle=1", "--timeout-half-closed=1", "--timeout-udp=1"}) {
    const std::string name = std::string(option).substr(0, std::string_view(option).find('='));
    EXPECT_EQ(
        mistake({"-c", "f", option}),
        name + ": holds for rules of the command line; with --config, write it into the file");
  }
}

TEST(ForwardOptions, EveryBadValueIsNamed) {
  const auto with = [](const char* option) { return mistake({"8080", "10.0.0.2:80", option}); };
  EXPECT_EQ(with("--relay=fast"), "--relay: 'fast' is unknown; expected auto, copy or splice");
  EXPECT_EQ(with("--check=xml"), "--check: 'xml' is not a format; expected text or json");
  EXPECT_EQ(with("--balance=random"),
            "--balance: 'random' is unknown; expected round-robin, least-connections or "
            "client-hash");
  EXPECT_EQ(with("--framing=16"), "--framing: '16' is unknown; expected none or length16");
  EXPECT_EQ(with("--proxy-out=3"), "--proxy-out: '3' is unknown; expected off, v1 or v2");
  EXPECT_EQ(with("--log-format=xml"),
            "--log-format: 'xml' is unknown; expected rinetd, common or json");
  EXPECT_EQ(with("--log-format=json"),
            "--log-format: there is no log to be written so; expected --log-file FILE, too");
  EXPECT_EQ(with("--buffer-size=1"), "--buffer-size: '1' is out of range; expected 1KiB to 16MiB");
  EXPECT_EQ(with("--buffer-size=64Kb/t"),
            "--buffer-size: '64Kb/t' is not a size; expected bytes as 65536, 64KiB or 1MiB");
  EXPECT_EQ(with("--workers=9999"), "--workers: '9999' is out of range; expected 0 to 1024");
  EXPECT_EQ(with("--drain-timeout=soon"),
            "--drain-timeout: 'soon' is not a time; expected one as 30s, 500ms, 10m or 1h");
  EXPECT_EQ(with("--timeout-connect=0"),
            "--timeout-connect: '0' is out of range; expected 1ms at least");
  EXPECT_EQ(with("--timeout-udp=-1"),
            "--timeout-udp: '-1' is not a time; expected one as 30s, 500ms, 10m or 1h");
  EXPECT_EQ(with("--connect-from=host"), "--connect-from: 'host' is not an IP address");
  EXPECT_TRUE(with("--allow=10.0.0.0/33")
                  .starts_with("--allow: '10.0.0.0/33' is not an address pattern; expected "));
  EXPECT_TRUE(with("--deny=a.host").starts_with("--deny: 'a.host' is not an address pattern"));
  EXPECT_EQ(with("--log-level=loud"),
            "--log-level: 'loud' is not a level; expected error, warn, info, debug or trace");
  EXPECT_EQ(mistake({"8080", "10.0.0.2:80", "--pid-file", ""}),
            "--pid-file: the name of the file is empty");
  EXPECT_EQ(mistake({"8080", "10.0.0.2:80", "--log-file=x", "--pid-file=x"}),
            "--pid-file: 'x' is the file of --log-file already");
}

TEST(ForwardOptions, UnknownOptionsAndMissingValues) {
  EXPECT_EQ(mistake({"8080", "10.0.0.2:80", "--relai=copy"}),
            "unknown option '--relai'; did you mean '--relay'?");
  EXPECT_EQ(mistake({"-x", "8080", "10.0.0.2:80"}), "unknown option '-x'");
  EXPECT_EQ(mistake({"8080", "10.0.0.2:80", "-c"}), "--config: a value is missing; expected FILE");
  EXPECT_EQ(mistake({"8080", "10.0.0.2:80", "--workers="}),
            "--workers: a value is missing; expected N");
  EXPECT_EQ(mistake({"--no-watch=3", "8080", "10.0.0.2:80"}), "--no-watch: takes no value");
  EXPECT_EQ(mistake({"8080", "10.0.0.2:80", "--mtu=1"}), "unknown option '--mtu'");
}

}  // namespace
}  // namespace sluice::app
