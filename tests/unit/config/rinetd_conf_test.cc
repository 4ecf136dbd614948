// What rinetd 0.73 accepts and refuses was learned from its binary, line by line.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "config/forward_config.h"

namespace sluice::config {
namespace {

using namespace std::chrono_literals;
using forward::Plan;

Plan plan_of(std::string_view text) {
  const auto loaded = parse_rinetd_conf(text, "r.conf");
  if (!loaded) {
    ADD_FAILURE() << text << ": " << loaded.error().front().describe();
    return {};
  }
  return loaded->plan;
}

// Every message, one a line.
std::string said_of(std::string_view text) {
  const auto loaded = parse_rinetd_conf(text, "r.conf");
  std::string out;
  for (const auto& m : loaded ? loaded->warnings : loaded.error()) out += m.describe() + "\n";
  return (loaded ? "" : "refused\n") + out;
}

// "LISTEN -> TARGET" of the only rule.
std::string rule_of(std::string_view line) {
  const Plan plan = plan_of(line);
  if (plan.rules.size() != 1) return fmt::format("{} rules", plan.rules.size());
  const auto& rule = plan.rules[0];
  return fmt::format("{} -> {}", to_string(rule.listen), to_string(rule.targets.at(0).place));
}

std::string texts(const std::vector<policy::AddressPattern>& patterns) {
  std::string out;
  for (const auto& pattern : patterns) out += pattern.text() + " ";
  return out;
}

TEST(RinetdConf, ReadsRulesWithAnyBlanks) {
  constexpr std::string_view kRule = "tcp://0.0.0.0:8001 -> tcp://10.1.1.2:80";
  EXPECT_EQ(rule_of("0.0.0.0 8001 10.1.1.2 80\n"), kRule);
  EXPECT_EQ(rule_of("0.0.0.0\t8001\t\t10.1.1.2 \t80\n"), kRule);
  EXPECT_EQ(rule_of("   0.0.0.0 8001 10.1.1.2 80   \r\n"), kRule);
  EXPECT_EQ(rule_of("0.0.0.0 8001 10.1.1.2 80 # comment\n"), kRule);
  EXPECT_EQ(rule_of("0.0.0.0 8001 10.1.1.2 80#comment\n"), kRule);
  EXPECT_EQ(rule_of("# a\n\n  \t\n0.0.0.0 8001 10.1.1.2 80\n"), kRule);
  EXPECT_EQ(rule_of("0.0.0.0 08001 10.1.1.2 80\n"), kRule);
  // rinetd drops a last line without its newline, and says nothing.
  EXPECT_EQ(rule_of("0.0.0.0 8001 10.1.1.2 80"), kRule);
}

TEST(RinetdConf, ReadsNamesServicesAndIpv6) {
  EXPECT_EQ(rule_of("localhost 8001 localhost http\n"),
            "tcp://localhost:8001 -> tcp://localhost:80");
  EXPECT_EQ(rule_of(":: 8001 ::1 ms-sql-s\n"), "tcp://[::]:8001 -> tcp://[::1]:1433");
  EXPECT_EQ(rule_of("fe80::1%lo 8001 fe80::2%1 80\n"),
            "tcp://[fe80::1%lo]:8001 -> tcp://[fe80::2%1]:80");
  EXPECT_EQ(rule_of("0 8001 my-host_1.local ssh/tcp\n"),
            "tcp://0.0.0.0:8001 -> tcp://my-host_1.local:22");
}

TEST(RinetdConf, ProtocolsAreOfEachSideAndTcpUnlessNamed) {
  EXPECT_EQ(rule_of("0.0.0.0 80/tcp 10.1.1.2 8000/udp\n"),
            "tcp://0.0.0.0:80 -> udp://10.1.1.2:8000");
  EXPECT_EQ(rule_of("0.0.0.0 8000/udp 10.1.1.2 80\n"), "udp://0.0.0.0:8000 -> tcp://10.1.1.2:80");
  EXPECT_EQ(rule_of("0.0.0.0 domain/udp 10.1.1.2 domain/udp\n"),
            "udp://0.0.0.0:53 -> udp://10.1.1.2:53");
}

TEST(RinetdConf, ReadsOptions) {
  for (const char* line : {"0.0.0.0 1/udp 10.1.1.2 2/udp [timeout=3600,src=10.1.1.9]",
                           "0.0.0.0 1/udp 10.1.1.2 2/udp[src=10.1.1.9,timeout=3600]#c",
                           "0.0.0.0 1/udp 10.1.1.2 2/udp [ timeout = 3600 ,\tsrc = 10.1.1.9 ] # c",
                           "0.0.0.0 1/udp 10.1.1.2 2/udp [timeout=1,timeout=03600,src=10.1.1.9]"}) {
    const Plan plan = plan_of(line);
    ASSERT_EQ(plan.rules.size(), 1u) << line;
    EXPECT_EQ(plan.rules[0].timeouts.udp_session, Duration{3600s}) << line;
    EXPECT_EQ(plan.rules[0].socket.source, wire::parse_ip("10.1.1.9").value()) << line;
  }
  EXPECT_EQ(plan_of("0.0.0.0 1/udp 10.1.1.2 2/udp").rules.at(0).timeouts.udp_session,
            Duration{72s});
}

TEST(RinetdConf, ATimeoutIsOfDatagramsOnly) {
  EXPECT_EQ(plan_of("0.0.0.0 1 10.1.1.2 2 [timeout=5]").rules.at(0).timeouts,
            forward::TimeoutPlan{});
  EXPECT_EQ(said_of("0.0.0.0 1 10.1.1.2 2 [timeout=5]"),
            "r.conf:1: timeout has no effect on TCP, as in rinetd; an idle limit of connections is "
            "a setting of the TOML form\n");
  EXPECT_EQ(plan_of("0.0.0.0 1 10.1.1.2 2/udp [timeout=5]").rules.at(0).timeouts.udp_session,
            Duration{5s});
  EXPECT_EQ(plan_of("0.0.0.0 1/udp 10.1.1.2 2 [timeout=0]").rules.at(0).timeouts.udp_session,
            Duration{1s});
  EXPECT_GT(plan_of("0.0.0.0 1/udp 10.1.1.2 2 [timeout=99999999999999999999]")
                .rules.at(0)
                .timeouts.udp_session,
            Duration{24h});
}

TEST(RinetdConf, PatternsBelongToAllOrToTheRuleBefore) {
  const Plan plan = plan_of(
      "allow 10.*\n"
      "deny 10.0.0.1? # comment\n"
      "0.0.0.0 1 10.1.1.2 80\n"
      "allow fe80:*\n"
      "deny 2001:618:*:e43f\n"
      "0.0.0.0 2 10.1.1.2 80\n"
      "0.0.0.0 3 10.1.1.2 80\n"
      "deny\t10.9.9.9#c\n"
      "deny *\n");
  EXPECT_EQ(texts(plan.access.allow), "10.* ");
  EXPECT_EQ(texts(plan.access.deny), "10.0.0.1? ");
  ASSERT_EQ(plan.rules.size(), 3u);
  EXPECT_EQ(texts(plan.rules[0].access.allow), "fe80:* ");
  EXPECT_EQ(texts(plan.rules[0].access.deny), "2001:618:*:e43f ");
  EXPECT_TRUE(plan.rules[1].access.empty());
  EXPECT_EQ(texts(plan.rules[2].access.deny), "10.9.9.9 * ");
}

TEST(RinetdConf, TakesPatternsThatMatchNobodyAsRinetdDoes) {
  const auto loaded = parse_rinetd_conf("allow 10.1\n", "r.conf");
  ASSERT_TRUE(loaded);
  ASSERT_EQ(loaded->warnings.size(), 1u);
  EXPECT_EQ(loaded->warnings[0].where.line, 1u);
  EXPECT_EQ(policy::decide_access(loaded->plan.access, {}, wire::parse_ip("10.1.0.1").value()),
            policy::Access::kNotAllowed);
}

TEST(RinetdConf, ReadsLogSettingsInAnyOrderTheLastWins) {
  const Plan plan = plan_of(
      "0.0.0.0 1 10.1.1.2 80\n"
      "logcommon # web-server style\n"
      "logfile /a\n"
      "logfile /var/log/x#y.log # comment\n"
      "pidlogfile /run/x.pid\n");
  EXPECT_EQ(plan.log_file, "/var/log/x#y.log");
  EXPECT_EQ(plan.log_format, forward::LogFormat::kCommon);
  EXPECT_EQ(plan.pid_file, "/run/x.pid");
  EXPECT_EQ(plan_of("logfile #x\n").log_file, "#x");
  EXPECT_EQ(plan_of("").log_file, "");
  EXPECT_EQ(plan_of("").log_format, forward::LogFormat::kRinetd);
}

TEST(RinetdConf, RefusesWhatRinetdRefuses) {
  for (const char* line : {
           "0.0.0.0 8001 10.1.1.2",
           "0.0.0.0 8001 10.1.1.2 80 extra",
           "0.0.0.0 8001-8003 10.1.1.2 80",
           "0.0.0.0 8001/TCP 10.1.1.2 80",
           "0.0.0.0 8001/sctp 10.1.1.2 80",
           "0.0.0.0 8001/ 10.1.1.2 80",
           "0.0.0.0 8001/tcp/tcp 10.1.1.2 80",
           "0.0.0.0 +8001 10.1.1.2 80",
           "0.0.0.0 0x50 10.1.1.2 80",
           "0.0.0.0 8001 10.1.1.2 8x",
           "0.0.0.0 no-such-service 10.1.1.2 80",
           "0.0.0.0 8001 fe80::1%nope0 80",
           "0.0.0.0 8001 2001:db8::1%lo 80",
           "\"0.0.0.0\" 8001 10.1.1.2 80",
           "\f0.0.0.0 8001 10.1.1.2 80",
           "0.0.0.0\v8001 10.1.1.2 80",
           "\xef\xbb\xbf"
           "0.0.0.0 8001 10.1.1.2 80",
           "0.0.0.0 8001 10.1.1.2 80 []",
           "0.0.0.0 8001 10.1.1.2 80 [timeout=3",
           "0.0.0.0 8001 10.1.1.2 80 [timeout=3] x",
           "0.0.0.0 8001 10.1.1.2 80 [timeout=3][src=10.1.1.9]",
           "0.0.0.0 8001 10.1.1.2 80 [timeout=3 src=10.1.1.9]",
           "0.0.0.0 8001 10.1.1.2 80 [timeout=3,]",
           "0.0.0.0 8001 10.1.1.2 80 [,timeout=3]",
           "0.0.0.0 8001 10.1.1.2 80 [timeout=]",
           "0.0.0.0 8001 10.1.1.2 80 [timeout=-1]",
           "0.0.0.0 8001 10.1.1.2 80 [timeout=3s]",
           "0.0.0.0 8001 10.1.1.2 80 [TIMEOUT=3]",
           "0.0.0.0 8001 10.1.1.2 80 [keepalive=on]",
           "0.0.0.0 8001 10.1.1.2 80 [src=no.such.name]",
           "0.0.0.0 8001 10.1.1.2 80 \\",
           "allow",
           "allow 10.* 11.*",
           "allow host.example",
           "allow g*",
           "Allow 10.*",
           "DENY 10.*",
           "logfile",
           "logfile a b",
           "LOGFILE /x",
           "logcommon yes",
           "pidlogfile",
           "include /x",
       }) {
    EXPECT_FALSE(parse_rinetd_conf(line, "r.conf")) << line;
  }
}

// rinetd keeps the lower 16 bits of 70000, and of port 0 nobody knows where it leads.
TEST(RinetdConf, RefusesPortsThatAreNone) {
  for (const char* line : {"0.0.0.0 70000 10.1.1.2 80", "0.0.0.0 80 10.1.1.2 70000",
                           "0.0.0.0 0 10.1.1.2 80", "0.0.0.0 80 10.1.1.2 0"}) {
    EXPECT_FALSE(parse_rinetd_conf(line, "r.conf")) << line;
  }
}

TEST(RinetdConf, NamesEveryMistakeWithItsLine) {
  EXPECT_EQ(said_of("0.0.0.0 80 10.1.1.2 99999\n"
                    "deny host.example\n"
                    "\n"
                    "0.0.0.0 81/sctp 10.1.1.2 80\n"
                    "logfile\n"
                    "127.0.0.1 82 10.1.1.2 80 [foo=1]\n"
                    "hello\n"),
            "refused\n"
            "r.conf:1: port '99999' is out of range; expected 1 to 65535\n"
            "r.conf:2: 'host.example' is not an address pattern; expected an address, a prefix as "
            "10.0.0.0/8, or wildcards as 192.168.1.*; names of hosts cannot be matched\n"
            "r.conf:4: '81/sctp' ends in no protocol that is known; expected /tcp or /udp\n"
            "r.conf:5: logfile needs one path without blanks as /var/log/rinetd.log\n"
            "r.conf:6: option 'foo' is unknown; expected timeout=SECONDS or src=ADDRESS\n"
            "r.conf:7: 'hello' begins no line that is known; expected 'bindaddress bindport "
            "connectaddress connectport [options]', allow, deny, logfile, logcommon or "
            "pidlogfile\n");
}

TEST(RinetdConf, RefusesTwoRulesOnOneListener) {
  EXPECT_EQ(
      said_of("0.0.0.0 80 10.1.1.2 80\n0.0.0.0 80/udp 10.1.1.2 80\n0.0.0.0 http 10.1.1.3 80\n"),
      "refused\n"
      "r.conf:3: listens on tcp://0.0.0.0:80 as line 1 does on tcp://0.0.0.0:80; expected "
      "another address or port\n");
}

// The rules of rinetd's manual page and of the comments in Debian's file.
TEST(RinetdConf, ReadsRinetdsOwnExamples) {
  const Plan plan = plan_of(
      "allow 192.168.2.*\n"
      "deny 192.168.2.1?\n"
      "allow fe80:*\n"
      "deny 2001:618:*:e43f\n"
      "206.125.69.81 80  10.1.1.2 80\n"
      "0.0.0.0 23  10.1.1.2 23\n"
      "206.125.69.81 81/tcp  10.1.1.2 8000/udp\n"
      "0.0.0.0 8000/udp  10.1.1.2 80  [timeout=3600]\n"
      "192.168.1.1 80  10.1.1.127 80  [src=10.1.1.2]\n"
      "allow 206.125.69.*\n"
      "::1         80        192.168.1.2     80\n"
      "0.0.0.0     80        fe80::1         80\n"
      "127.0.0.1   4000      127.0.0.1       3000\n"
      "127.0.0.1   4000/udp  127.0.0.1       22           [timeout=1200]\n"
      "127.0.0.1   8000/udp  192.168.1.2     8000/udp     [src=192.168.1.2,timeout=1200]\n"
      "logfile /var/log/rinetd.log\n");
  EXPECT_EQ(plan.rules.size(), 10u);
}

}  // namespace
}  // namespace sluice::config
