#include "app/run/run_options.h"

#include <gtest/gtest.h>

#include <chrono>

namespace sluice::app {
namespace {

using Words = std::vector<const char*>;

std::expected<RunOptions, EarlyExit> parse(const Words& words) {
  return parse_run_options(words, "/bin/bash");
}

RunOptions options(const Words& words) {
  auto parsed = parse(words);
  EXPECT_TRUE(parsed.has_value()) << (parsed ? "" : parsed.error().text);
  return parsed ? *parsed : RunOptions{};
}

// The message without "sluice run: " and the way to help, which every mistake has.
std::string mistake(const Words& words) {
  const auto parsed = parse(words);
  if (parsed) return "accepted";
  EXPECT_EQ(parsed.error().exit_code, 2);
  std::string text = parsed.error().text;
  constexpr std::string_view kBefore = "sluice run: ";
  constexpr std::string_view kAfter = "; see 'sluice run --help'\n";
  EXPECT_TRUE(text.starts_with(kBefore) && text.ends_with(kAfter)) << text;
  text = text.substr(kBefore.size(), text.size() - kBefore.size() - kAfter.size());
  EXPECT_EQ(text.find('\n'), std::string::npos) << "one line only: " << text;
  return text;
}

using Command = std::vector<std::string>;

TEST(RunOptions, PortsMayFollowTheGuest) {
  const RunOptions o = options({"-t", "auto", "-u", "127.0.0.1%lo/auto", "-u", "53", "true"});
  ASSERT_EQ(o.follow.size(), 2U);
  EXPECT_EQ(o.follow[0].like.protocol, policy::Protocol::kTcp);
  EXPECT_FALSE(o.follow[0].like.address.has_value());
  EXPECT_EQ(o.follow[1].like.protocol, policy::Protocol::kUdp);
  EXPECT_EQ(o.follow[1].like.interface, "lo");
  EXPECT_EQ(o.publish.size(), 1U);
  EXPECT_TRUE(options({"-t", "auto", "-t", "none", "true"}).follow.empty());
}

std::string published(const Words& words) {
  std::string all;
  for (const policy::PortMap& map : options(words).publish) {
    if (!all.empty()) all += ' ';
    all += policy::to_string(map);
    if (map.if_taken == policy::IfTaken::kTell) all += "!";
    if (map.if_taken == policy::IfTaken::kLeaveOut) all += "?";
  }
  return all;
}

TEST(RunOptions, PortsArePublishedOneByOneAndInLists) {
  EXPECT_EQ(published({"-p", "0:80", "-t", "22,8080:80", "-u", "53", "true"}),
            "0:80 22:22 8080:80 53:53/udp");
  EXPECT_EQ(published({"-t", "22", "-t", "none", "-t", "23", "true"}), "23:23");
  EXPECT_EQ(published({"--ignore-bind-errors", "-p", "8080:80", "-t", "22", "true"}),
            "8080:80! 22:22!");
  EXPECT_EQ(published({"-p", "8080:80", "-t", "127.0.0.1/~1-65530", "true"}),
            "8080:80 127.0.0.1:65531-65535:65531-65535?");
  EXPECT_EQ(mistake({"-p", "22:80", "-t", "20-25", "true"}),
            "--tcp-ports: '20-25:20-25' needs a port of the host that '22:80' has");
  EXPECT_EQ(mistake({"-4", "-u", "::1/53", "true"}),
            "--udp-ports: '[::1]:53:53/udp' is IPv6, which -4 switches off");
  EXPECT_EQ(mistake({"-6", "-t", "127.0.0.1/auto", "true"}),
            "--tcp-ports: '127.0.0.1/auto' is IPv4, which -6 switches off");
  EXPECT_TRUE(mistake({"-t", "eighty", "true"}).starts_with("--tcp-ports: 'eighty' are no ports"));
}

TEST(RunOptions, PortsOfTheLoopbackLeadOut) {
  const RunOptions o = options({"-T", "8080:80", "--tcp-ns", "22", "--host-lo-to-ns-lo", "true"});
  ASSERT_EQ(o.loopback.size(), 2U);
  EXPECT_EQ(o.loopback[0].guest_first, wire::Port{8080});
  EXPECT_EQ(o.loopback[0].host_first, wire::Port{80});
  EXPECT_EQ(o.call_guest, policy::LoopbackUse::kFirst);
  EXPECT_EQ(mistake({"-T", "22", "-T", "22", "true"}),
            "--tcp-ns: port 22 of the guest is named twice; expected one way for it");
}

TEST(RunOptions, DefaultsAreThoseOfTheDesign) {
  const RunOptions o = options({"true"});
  EXPECT_TRUE(o.network.ipv4 && o.network.ipv6 && o.network.dns);
  EXPECT_EQ(wire::to_string(o.network.guest_v4), "10.0.2.15");
  EXPECT_EQ(wire::to_string(o.network.gateway_v4), "10.0.2.2");
  EXPECT_EQ(wire::to_string(o.network.dns_v4), "10.0.2.3");
  EXPECT_EQ(o.network.prefix_length_v4, 24);
  EXPECT_EQ(wire::to_string(o.network.guest_v6), "fd00::15");
  EXPECT_EQ(wire::to_string(o.network.gateway_v6), "fd00::2");
  EXPECT_EQ(wire::to_string(o.network.dns_v6), "fd00::3");
  EXPECT_EQ(o.network.prefix_length_v6, 64);
  EXPECT_EQ(o.network.mtu, 1500);
  EXPECT_EQ(wire::to_string(o.network.guest_mac), "52:54:00:12:34:56");
  EXPECT_EQ(o.interface, "tap0");
  EXPECT_FALSE(o.host_loopback || o.host_addresses || o.pid_namespace);
  EXPECT_FALSE(o.chosen_v4 || o.chosen_v6);
  EXPECT_EQ(o.limits.max_flows, 65'536u);
  EXPECT_EQ(o.limits.new_flows_per_second, 0u);
  EXPECT_EQ(o.report, telemetry::ReportFormat::kNone);
  EXPECT_EQ(o.log_level, telemetry::LogLevel::kWarn);
  EXPECT_TRUE(o.publish.empty() && o.policy.rules.empty() && o.policy_line.empty());
  EXPECT_EQ(o.policy.fallback, policy::Effect::kAllow);
}

TEST(RunOptions, OptionsEndWhereTheCommandBegins) {
  EXPECT_EQ(options({"curl", "-4", "x"}).command, (Command{"curl", "-4", "x"}));
  EXPECT_TRUE(options({"curl", "-4", "x"}).network.ipv6);
  EXPECT_EQ(options({"-4", "curl", "--mtu", "x"}).command, (Command{"curl", "--mtu", "x"}));
  EXPECT_EQ(options({"--pid", "--", "-x", "y"}).command, (Command{"-x", "y"}));
  EXPECT_EQ(options({"--", "--"}).command, (Command{"--"}));
  EXPECT_EQ(options({"x", "--", "y"}).command, (Command{"x", "--", "y"}));
  EXPECT_EQ(options({"x", "", " a b ", "--help"}).command, (Command{"x", "", " a b ", "--help"}));
  EXPECT_EQ(options({"--report", "json"}).command, (Command{"json"}));
  EXPECT_EQ(options({"--mtu", "1400", "x", "y"}).command, (Command{"x", "y"}));
  EXPECT_EQ(options({"--deny", "10.0.0.0/8", "x", "y"}).command, (Command{"x", "y"}));
  EXPECT_EQ(options({"-vp80:80", "x"}).command, (Command{"x"}));
}

TEST(RunOptions, WithoutACommandTheShellIsStarted) {
  EXPECT_EQ(options({}).command, (Command{"/bin/bash"}));
  EXPECT_EQ(options({"-4", "--"}).command, (Command{"/bin/bash"}));
  EXPECT_EQ(parse_run_options({}, "").value().command, (Command{"/bin/sh"}));
  EXPECT_EQ(mistake({""}),
            "the command's name is empty; expected a program, as in 'sluice run -- curl …'");
}

TEST(RunOptions, EveryOptionArrives) {
  const RunOptions o = options({"--address",
                                "192.168.7.20/24",
                                "--address=fd01::20/64",
                                "--gateway",
                                "192.168.7.1",
                                "--gateway",
                                "fd01::1",
                                "--dns",
                                "192.168.7.9",
                                "--dns",
                                "fd01::9",
                                "--mtu",
                                "9000",
                                "--mac",
                                "02:00:00:00:00:07",
                                "--interface",
                                "eth0",
                                "-p",
                                "8080:80",
                                "--publish",
                                "[::1]:53:53/udp",
                                "--host-loopback",
                                "--host-addresses",
                                "--outbound",
                                "192.0.2.1",
                                "--outbound",
                                "eth1",
                                "--nat64-prefix",
                                "2001:db8:64::/96",
                                "--deny",
                                "10.0.0.0/8",
                                "--deny",
                                "[fd00::1]",
                                "--allow",
                                "10.1.0.0/16:443",
                                "--max-flows",
                                "10",
                                "--new-flows-per-second",
                                "20",
                                "--report=json",
                                "--report-file",
                                "r",
                                "--flow-log",
                                "f",
                                "--pcap",
                                "p",
                                "--log-level",
                                "debug",
                                "--verbose",
                                "--workers",
                                "4",
                                "--as-root",
                                "--pid",
                                "true"});
  EXPECT_EQ(wire::to_string(o.network.guest_v4), "192.168.7.20");
  EXPECT_EQ(wire::to_string(o.network.guest_v6), "fd01::20");
  EXPECT_EQ(wire::to_string(o.network.gateway_v4), "192.168.7.1");
  EXPECT_EQ(wire::to_string(o.network.gateway_v6), "fd01::1");
  EXPECT_EQ(wire::to_string(o.network.dns_v4), "192.168.7.9");
  EXPECT_EQ(wire::to_string(o.network.dns_v6), "fd01::9");
  EXPECT_EQ(o.network.mtu, 9000);
  EXPECT_EQ(wire::to_string(o.network.guest_mac), "02:00:00:00:00:07");
  EXPECT_EQ(o.interface, "eth0");
  ASSERT_EQ(o.publish.size(), 2u);
  EXPECT_EQ(policy::to_string(o.publish[1]), "[::1]:53:53/udp");
  EXPECT_TRUE(o.host_loopback);
  EXPECT_TRUE(o.host_addresses);
  ASSERT_TRUE(o.outbound.v4.address.has_value());
  EXPECT_EQ(wire::to_string(*o.outbound.v4.address), "192.0.2.1");
  EXPECT_EQ(o.outbound.v4.device, "eth1");
  EXPECT_EQ(o.outbound.v6.device, "eth1");
  ASSERT_EQ(o.nat64_prefixes.size(), 1u);
  EXPECT_EQ(wire::to_string(o.nat64_prefixes[0]), "2001:db8:64::/96");
  ASSERT_EQ(o.policy.rules.size(), 3u);
  EXPECT_EQ(policy::to_string(o.policy.rules[1].target), "fd00::1");
  EXPECT_EQ(o.policy.rules[1].rule.id, "--deny #2");
  EXPECT_EQ(o.policy.rules[2].rule.effect, policy::Effect::kAllow);
  EXPECT_EQ(o.limits.max_flows, 10u);
  EXPECT_EQ(o.limits.new_flows_per_second, 20u);
  EXPECT_EQ(o.report, telemetry::ReportFormat::kJson);
  EXPECT_EQ(o.report_file, "r");
  EXPECT_EQ(o.flow_log, "f");
  EXPECT_EQ(o.pcap, "p");
  EXPECT_EQ(o.log_level, telemetry::LogLevel::kDebug);
  EXPECT_TRUE(o.as_root);
  EXPECT_TRUE(o.pid_namespace);
  EXPECT_EQ(o.workers, 4u);
}

TEST(RunOptions, GatewayAndDnsFollowTheAddress) {
  const RunOptions o = options({"--address", "192.168.7.2/29", "--address", "fd01::3/126", "x"});
  EXPECT_EQ(wire::to_string(o.network.gateway_v4), "192.168.7.3");
  EXPECT_EQ(wire::to_string(o.network.dns_v4), "192.168.7.1");
  EXPECT_EQ(wire::to_string(o.network.gateway_v6), "fd01::2");
  EXPECT_EQ(wire::to_string(o.network.dns_v6), "fd01::1");
}

TEST(RunOptions, TheLastValueCounts) {
  EXPECT_EQ(options({"--mtu", "1400", "--mtu", "1300", "x"}).network.mtu, 1300);
  EXPECT_EQ(options({"--report", "--report=json", "x"}).report, telemetry::ReportFormat::kJson);
}

TEST(RunOptions, AReportFileImpliesAReport) {
  EXPECT_EQ(options({"--report-file", "r", "x"}).report, telemetry::ReportFormat::kText);
  EXPECT_EQ(options({"--verbose", "x"}).log_level, telemetry::LogLevel::kInfo);
}

TEST(RunOptions, HelpAndVersionGoToStandardOutput) {
  for (const char* word : {"--help", "-h", "--version", "-V"}) {
    const auto parsed = parse({"--mtu", "bad", word, "x"});
    ASSERT_FALSE(parsed.has_value());
    EXPECT_EQ(parsed.error().exit_code, 0) << word;
  }
}

TEST(RunOptions, NumbersSayTheirRange) {
  EXPECT_EQ(mistake({"--mtu", "70000", "x"}),
            "--mtu: '70000' is out of range; expected 68 to 65520");
  EXPECT_EQ(mistake({"--mtu", "67", "x"}), "--mtu: '67' is out of range; expected 68 to 65520");
  for (const char* text : {"-1", "1e3", "0x5dc", "1500 ", " 1500", "+1500"}) {
    EXPECT_EQ(mistake({"--mtu", text, "x"}),
              "--mtu: '" + std::string(text) + "' is not a number; expected 68 to 65520");
  }
  EXPECT_EQ(mistake({"--mtu", "1000", "x"}),
            "--mtu: '1000' is too small for IPv6; expected 1280 to 65520, or -4");
  EXPECT_EQ(options({"--mtu", "1000", "-4", "x"}).network.mtu, 1000);
  EXPECT_EQ(mistake({"--max-flows", "4294967296", "x"}),
            "--max-flows: '4294967296' is out of range; expected 0 to 4294967295");
  EXPECT_EQ(mistake({"--new-flows-per-second", "many", "x"}),
            "--new-flows-per-second: 'many' is not a number; expected 0 to 4294967295");
}

TEST(RunOptions, AddressesMustFitTogether) {
  EXPECT_EQ(mistake({"--address", "10.0.0.1", "x"}),
            "--address: '10.0.0.1' is not an address with its prefix; expected IP/LENGTH as "
            "10.0.2.15/24");
  EXPECT_EQ(mistake({"--address", "10.0.0.1/31", "x"}),
            "--address: '10.0.0.1/31' has no usable prefix length; expected 1 to 30");
  EXPECT_EQ(mistake({"--address", "127.0.0.1/8", "x"}),
            "--address: '127.0.0.1/8' cannot be a guest's address; expected one as 10.0.2.15/24");
  EXPECT_EQ(mistake({"--address", "10.0.0.255/24", "x"}),
            "--address: '10.0.0.255' is the first or the last address of 10.0.0.0/24, which no "
            "host may have");
  EXPECT_EQ(mistake({"--address", "10.0.0.1/24", "--address", "10.0.0.2/24", "x"}),
            "--address: '10.0.0.2/24' is a second IPv4 address; expected one of each family");
  EXPECT_EQ(mistake({"--address", "10.9.0.1/30", "x"}),
            "--address: 10.9.0.0/30 has no room for guest, gateway and DNS; expected a shorter "
            "prefix, or --no-dns");
  EXPECT_EQ(
      wire::to_string(options({"--address", "10.9.0.1/30", "--no-dns", "x"}).network.gateway_v4),
      "10.9.0.2");
  EXPECT_EQ(mistake({"--gateway", "192.0.2.1", "x"}),
            "--gateway: '192.0.2.1' is outside the guest's subnet 10.0.2.0/24; --address sets "
            "another");
  EXPECT_EQ(mistake({"--dns", "fd01::3", "x"}),
            "--dns: 'fd01::3' is outside the guest's subnet fd00::/64; --address sets another");
  EXPECT_EQ(mistake({"--gateway", "10.0.2.15", "x"}),
            "--gateway: '10.0.2.15' is taken; guest, gateway and DNS need an address each");
  EXPECT_EQ(mistake({"--dns", "8.8.8", "x"}), "--dns: '8.8.8' is not an IP address");
}

TEST(RunOptions, FamiliesThatAreOffHaveNothing) {
  EXPECT_EQ(mistake({"-4", "-6", "x"}), "-4 and -6 exclude each other");
  EXPECT_EQ(mistake({"-4", "--address", "fd00::5/64", "x"}),
            "--address: 'fd00::5' is IPv6, which -4 switches off");
  EXPECT_EQ(mistake({"-6", "--dns", "10.0.2.3", "x"}),
            "--dns: '10.0.2.3' is IPv4, which -6 switches off");
  EXPECT_EQ(mistake({"-4", "-p", "[::1]:80:80", "x"}),
            "--publish: '[::1]:80:80' is IPv6, which -4 switches off");
  EXPECT_EQ(mistake({"--no-dns", "--dns", "10.0.2.9", "x"}),
            "--dns and --no-dns exclude each other");
}

TEST(RunOptions, EveryOtherBadValueIsNamed) {
  EXPECT_EQ(mistake({"--mac", "52:54:00:12:34", "x"}),
            "--mac: '52:54:00:12:34' is not a MAC; expected one as 52:54:00:12:34:56");
  for (const char* mac : {"01:00:5e:00:00:01", "00:00:00:00:00:00", "52:54:00:12:34:01"}) {
    EXPECT_EQ(
        mistake({"--mac", mac, "x"}),
        "--mac: '" + std::string(mac) + "' cannot be a guest's; expected one as 52:54:00:12:34:56");
  }
  for (const char* name : {"lo", "", "a-name-too-long1", "a/b", "tap%d", "a b", ".", "..", "a:1"}) {
    EXPECT_TRUE(mistake({"--interface", name, "x"})
                    .starts_with("--interface: '" + std::string(name) + "' cannot name"))
        << name;
  }
  EXPECT_EQ(options({"--interface", "fifteen-letters", "x"}).interface, "fifteen-letters");
  for (const char* text : {"10.0.0.0/8", "2001:db8::/33", "2001:db8::/128", "x"}) {
    EXPECT_TRUE(mistake({"--nat64-prefix", text, "x"})
                    .ends_with("expected one as 2001:db8:64::/96, of length 32, 40, 48, 56, 64 or "
                               "96"))
        << text;
  }
  EXPECT_TRUE(options({"--dns", "10.0.2.7", "x"}).chosen_v4);
  EXPECT_FALSE(options({"--dns", "10.0.2.7", "x"}).chosen_v6);
  EXPECT_TRUE(options({"--gateway", "fd00::7", "x"}).chosen_v6);
  EXPECT_TRUE(mistake({"--deny", "x/3", "x"})
                  .starts_with("--deny: 'x/3' is not a rule; expected a name as example.com"));
  EXPECT_TRUE(mistake({"--allow", "10.0.0.0/8:0", "x"})
                  .starts_with("--allow: '10.0.0.0/8:0' is not a rule; expected ports"));
  EXPECT_TRUE(mistake({"-p", "80", "x"})
                  .starts_with("--publish: '80' is not a port to publish; expected [ADDR:]"));
  EXPECT_EQ(mistake({"-p", "80:80", "-p", "127.0.0.1:80:81", "x"}),
            "--publish: '127.0.0.1:80:81' needs a port of the host that '80:80' has");
  EXPECT_EQ(mistake({"--report=xml", "x"}),
            "--report: 'xml' is not a format; expected text or json");
  EXPECT_EQ(mistake({"--log-level", "loud", "x"}),
            "--log-level: 'loud' is not a level; expected error, warn, info, debug or trace");
  EXPECT_EQ(mistake({"--pcap", "", "x"}), "--pcap: the name of the file is empty");
  EXPECT_EQ(mistake({"--flow-log", "a", "--pcap", "a", "x"}),
            "--pcap: 'a' is the file of --flow-log already");
}

TEST(RunOptions, ATimelineIsOfOneWorker) {
  EXPECT_EQ(mistake({"--trace=crr", "--workers", "2", "x"}),
            "--trace: a timeline is of one worker; expected it without --workers");
  EXPECT_EQ(options({"--trace=crr", "--workers", "1", "x"}).workers, 1U);
}

TEST(RunOptions, TraceTakesATargetAndAFile) {
  EXPECT_EQ(options({"x"}).trace, nullptr);
  const RunOptions plain = options({"--trace=crr", "x"});
  ASSERT_NE(plain.trace, nullptr);
  EXPECT_EQ(plain.trace->name, "crr");
  EXPECT_EQ(plain.trace_file, "");
  EXPECT_EQ(options({"--trace", "crr:a:b.json", "x"}).trace_file, "a:b.json");
  EXPECT_EQ(mistake({"--trace=cr", "x"}),
            "--trace: 'cr' is nothing that can be traced; expected crr, or with a file crr:FILE");
  EXPECT_EQ(mistake({"--trace", "crr:", "x"}),
            "--trace: the name of the file is empty; expected crr:FILE");
  EXPECT_EQ(mistake({"--pcap", "a", "--trace", "crr:a", "x"}),
            "--trace: 'a' is the file of --pcap already");
  EXPECT_EQ(mistake({"--trace=", "x"}), "--trace: a value is missing; expected TARGET[:FILE]");
}

TEST(RunOptions, UnknownOptionsAndMissingValues) {
  EXPECT_EQ(mistake({"--mtuu", "4", "x"}), "unknown option '--mtuu'; did you mean '--mtu'?");
  EXPECT_EQ(mistake({"--pubish=80:80", "x"}),
            "unknown option '--pubish'; did you mean '--publish'?");
  EXPECT_EQ(mistake({"--frobnicate", "x"}), "unknown option '--frobnicate'");
  EXPECT_EQ(mistake({"-x", "y"}), "unknown option '-x'");
  EXPECT_EQ(mistake({"-p"}), "--publish: a value is missing; expected [ADDR:]HOST:GUEST[/udp]");
  EXPECT_EQ(mistake({"--mtu"}), "--mtu: a value is missing; expected N");
  EXPECT_EQ(mistake({"--pcap=", "x"}), "--pcap: a value is missing; expected FILE");
  EXPECT_EQ(mistake({"--pid=3", "x"}), "--pid: takes no value");
}

TEST(RunOptions, ParsingTakesLessThanAMillisecond) {
  const Words words{"--report", "-p", "8080:80", "--deny", "10.0.0.0/8", "curl", "x"};
  auto best = std::chrono::steady_clock::duration::max();
  for (int i = 0; i < 20; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_TRUE(parse(words).has_value());
    best = std::min(best, std::chrono::steady_clock::now() - begin);
  }
  // The bound holds for a build without optimisation, so it is loose for a released one. The
  // sanitizers' builds are too slow to say anything.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
  EXPECT_LT(best, std::chrono::milliseconds(1));
#endif
}

}  // namespace
}  // namespace sluice::app
