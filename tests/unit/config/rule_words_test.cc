#include <fmt/core.h>
#include <gtest/gtest.h>

#include "config/forward_config.h"

namespace sluice::config {
namespace {

// "LISTEN -> TARGET", or "error: …".
std::string read(std::string_view listen, std::string_view target) {
  const auto rule = parse_rule_words(listen, target);
  if (!rule) return "error: " + rule.error();
  return fmt::format("{} -> {}", to_string(rule->listen), to_string(rule->targets.at(0).place));
}

TEST(RuleWords, TakesEveryForm) {
  EXPECT_EQ(read("8080", "10.0.0.2:80"), "tcp://*:8080 -> tcp://10.0.0.2:80");
  EXPECT_EQ(read(":8080", "10.0.0.2:80"), "tcp://*:8080 -> tcp://10.0.0.2:80");
  EXPECT_EQ(read("*:8080", "[fd00::2]:80"), "tcp://*:8080 -> tcp://[fd00::2]:80");
  EXPECT_EQ(read("tcp://[::]:8080", "db.example:5432"), "tcp://[::]:8080 -> tcp://db.example:5432");
  EXPECT_EQ(read("127.0.0.1:8080", "tcp://db.example:5432"),
            "tcp://127.0.0.1:8080 -> tcp://db.example:5432");
  EXPECT_EQ(read("8000-8009", "10.0.0.2:9000-9009"),
            "tcp://*:8000-8009 -> tcp://10.0.0.2:9000-9009");
  EXPECT_EQ(read("8080", "3000"), "tcp://*:8080 -> tcp://localhost:3000");
  EXPECT_EQ(read("[::1]:https", "example.org:https"), "tcp://[::1]:443 -> tcp://example.org:443");
}

TEST(RuleWords, TheTargetFollowsTheListenersProtocol) {
  EXPECT_EQ(read("udp://:53", "10.0.0.3:53"), "udp://*:53 -> udp://10.0.0.3:53");
  EXPECT_EQ(read("udp://:53", "udp://10.0.0.3:53"), "udp://*:53 -> udp://10.0.0.3:53");
  EXPECT_EQ(read("udp://:53", "tcp://10.0.0.3:53"), "udp://*:53 -> tcp://10.0.0.3:53");
  EXPECT_EQ(read("53", "udp://10.0.0.3:53"), "tcp://*:53 -> udp://10.0.0.3:53");
  EXPECT_EQ(read("systemd:udp:dns", "10.0.0.3:53"), "systemd:udp:dns -> udp://10.0.0.3:53");
}

TEST(RuleWords, TakesSocketsThatHaveNoAddress) {
  EXPECT_EQ(read("unix:/run/x.sock", "10.0.0.2:80"), "unix:/run/x.sock -> tcp://10.0.0.2:80");
  EXPECT_EQ(read("unix:///run/x.sock", "10.0.0.2:80"), "unix:/run/x.sock -> tcp://10.0.0.2:80");
  EXPECT_EQ(read("unix:////x", "10.0.0.2:80"), "unix:/x -> tcp://10.0.0.2:80");
  EXPECT_EQ(read("8080", "unix:@name"), "tcp://*:8080 -> unix:@name");
  EXPECT_EQ(read("systemd:web", "10.0.0.2:80"), "systemd:web -> tcp://10.0.0.2:80");
  EXPECT_EQ(read("systemd:0", "10.0.0.2:80"), "systemd:0 -> tcp://10.0.0.2:80");
}

TEST(RuleWords, NamesTheRuleByItsListener) {
  const auto rule = parse_rule_words("8080", "10.0.0.2:80").value();
  EXPECT_EQ(rule.name, "tcp://*:8080");
  EXPECT_EQ(rule.where, forward::Source{});
  EXPECT_EQ(rule.targets.at(0).weight, 1u);
}

TEST(RuleWords, ALinkLocalAddressNamesItsInterface) {
  EXPECT_EQ(read("[fe80::1%lo]:80", "[fe80::2%1]:81"),
            "tcp://[fe80::1%lo]:80 -> tcp://[fe80::2%1]:81");
  const auto rule = parse_rule_words("udp://[fe80::1%lo]:80", "[fe80::2%1]:81");
  ASSERT_TRUE(rule);
  EXPECT_EQ(rule->listen.scope_id, 1u);
  EXPECT_EQ(rule->targets[0].place.scope_id, 1u);
  EXPECT_EQ(rule->listen.literal(), wire::parse_ip("fe80::1").value());
}

TEST(RuleWords, MakesIpv4Whole) {
  EXPECT_EQ(read("0:8080", "127.1:80"), "tcp://0.0.0.0:8080 -> tcp://127.0.0.1:80");
}

TEST(RuleWords, SaysWhatItExpected) {
  constexpr std::string_view kGood = "10.0.0.2:80";
  EXPECT_EQ(read("", kGood),
            "error: '' has no port; expected PORT or ADDRESS:PORT as 8080 or [::]:8080");
  EXPECT_EQ(read("8080", "db.example"),
            "error: 'db.example' has no port; expected HOST:PORT as 10.0.0.2:80");
  EXPECT_EQ(read("8080", "db.example:"),
            "error: '' is no port; expected 1 to 65535 or a tcp service of /etc/services");
  EXPECT_EQ(read("0", kGood), "error: port '0' is out of range; expected 1 to 65535");
  EXPECT_EQ(read("65536", kGood), "error: port '65536' is out of range; expected 1 to 65535");
  EXPECT_EQ(read("80x", kGood),
            "error: '80x' has no port; expected PORT or ADDRESS:PORT as 8080 or [::]:8080");
  EXPECT_EQ(read("*:no-such-service", kGood),
            "error: 'no-such-service' is no port; expected 1 to 65535 or a tcp service of "
            "/etc/services");
  EXPECT_EQ(read("90-80", kGood),
            "error: range '90-80' ends before it begins; expected the lower port first");
  EXPECT_EQ(read("80-", kGood),
            "error: '80-' is no port; expected 1 to 65535 or a tcp service of /etc/services");
  EXPECT_EQ(read("::1:80", kGood),
            "error: '::1:80' has several colons; expected brackets around an IPv6 address as "
            "[::1]:8080");
  EXPECT_EQ(read("[::1]", kGood), "error: '[::1]' needs a port behind its bracket as [::1]:8080");
  EXPECT_EQ(read("[10.0.0.1]:80", "10.0.0.2:80"), "tcp://10.0.0.1:80 -> tcp://10.0.0.2:80");
  EXPECT_EQ(read("[db.example]:80", kGood),
            "error: '[db.example]' is no IPv6 address; expected one as [2001:db8::1]");
  EXPECT_EQ(read("10.0.0.300:80", kGood),
            "error: '10.0.0.300' is no IPv4 address; expected one as 10.0.0.2");
  EXPECT_EQ(read("[fe80::1%nope0]:80", kGood),
            "error: 'nope0' is no interface of this host; expected the name or the number of one "
            "behind the '%' of 'fe80::1%nope0'; 'ip link' lists them");
  EXPECT_EQ(read("8080", "[fe80::1%4000000000]:80"),
            "error: '4000000000' is no interface of this host; expected the name or the number of "
            "one behind the '%' of 'fe80::1%4000000000'; 'ip link' lists them");
  EXPECT_EQ(read("[2001:db8::1%lo]:80", kGood),
            "error: '2001:db8::1%lo' names an interface, which only a link-local address needs; "
            "expected one as fe80::1%eth0, or the interface as listen_device or target_device");
  EXPECT_EQ(read("a b:80", kGood),
            "error: 'a b' is neither an address nor a name; expected letters, digits, '.', '-' and "
            "'_'");
  EXPECT_EQ(read("sctp://:80", kGood),
            "error: 'sctp://:80' begins with an unknown scheme; expected tcp://, udp://, unix: or "
            "systemd:");
  EXPECT_EQ(read("8080", "systemd:web"),
            "error: systemd: names a socket to listen on, not a target");
  EXPECT_EQ(read("systemd:", kGood),
            "error: '' is no name of a systemd socket; expected systemd:NAME, systemd:udp:NAME, or "
            "its number from 0");
  EXPECT_EQ(read("unix:", kGood),
            "error: a UNIX socket needs a path as unix:/run/x.sock, or unix:@name");
  EXPECT_EQ(read("8080", "unix:/" + std::string(107, 'x')),
            "error: '/" + std::string(79, 'x') +
                "…' is no path of a UNIX socket; expected at most 107 bytes");
  EXPECT_EQ(read("8000-8009", kGood),
            "error: target tcp://10.0.0.2:80 has 1 port(s) and the listener tcp://*:8000-8009 has "
            "10; expected as many, as 80-89");
}

TEST(RuleWords, KeepsControlCharactersOffTheTerminal) {
  EXPECT_EQ(read("8080", "\x1b[31m:80"),
            "error: '\\x1b[31m' is neither an address nor a name; expected letters, digits, '.', "
            "'-' and '_'");
}

}  // namespace
}  // namespace sluice::config
