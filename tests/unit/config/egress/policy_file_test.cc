#include "config/egress/policy_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "unit/config/egress/own_folder.h"

namespace sluice::config {
namespace {

using policy::Effect;

// A folder with profiles, gone in the end.
class PolicyFile : public testing::Test {
 protected:
  PolicyFile() {
    std::filesystem::create_directories(folder_);
    write("python", "about = \"a\"\nrisk = \"b\"\n[[rule]]\nallow = \"pypi.org\"\n");
    write("wrong", "[[rule]]\nalow = \"pypi.org\"\n");
    write("ring", "use = [\"ring\", \"python\"]\n");
  }
  ~PolicyFile() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name + ".toml") << text;
  }

  // Empty: no mistake.
  std::string read(std::string_view text) {
    parts_ = {};
    PolicyReader reader(library_, parts_);
    const auto note = reader.add_text(text, "/etc/ci.toml", "ci.toml");
    if (note) return "";
    std::string lines;
    for (const ConfigMessage& error : note.error()) lines += error.describe() + "\n";
    return lines;
  }

  std::string folder_ = own_folder();
  ProfileLibrary library_{{folder_}};
  PolicyParts parts_;
};

TEST_F(PolicyFile, TakesEveryKey) {
  ASSERT_EQ(read(R"(
version = 1
default = "deny"
use = ["python"]
[dns]
denied = "nodata"
intercept = false
types = ["A", "MX"]
min-ttl = "90s"
grace = "2h"
budget = { names = 10, bytes = "1KiB", per = "1m" }
[tls]
sni = "if-present"
ech = "refuse"
[http]
host = "first"
[limits]
flows = 100
new-flows-per-second = 50
[[rule]]
id = "internet-but"
allow = "@public:443"
[[rule]]
allow = ["jira.corp.example:443", "git.corp.example:22"]
private = ["10.20.0.0/16"]
sni = "off"
host = "off"
[[rule]]
deny = "*.corp.example"
note = "Not from here."
)"),
            "");
  EXPECT_EQ(parts_.fallback, Effect::kDeny);
  EXPECT_EQ(parts_.max_flows, 100u);
  EXPECT_EQ(parts_.new_flows_per_second, 50u);
  const policy::EgressDraft& draft = parts_.draft;
  EXPECT_EQ(draft.dns.denied, policy::DeniedAnswer::kNoData);
  EXPECT_FALSE(draft.dns.intercept);
  EXPECT_EQ(draft.dns.types, (std::vector{wire::DnsType::kA, wire::DnsType::kMx}));
  EXPECT_EQ(draft.dns.min_ttl, std::chrono::seconds{90});
  EXPECT_EQ(draft.dns.grace, std::chrono::hours{2});
  EXPECT_EQ(draft.dns.budget.bytes, 1024u);
  EXPECT_EQ(draft.tls.sni, policy::SniUse::kIfPresent);
  EXPECT_EQ(draft.tls.encrypted_hello, policy::EncryptedHello::kRefuse);
  EXPECT_EQ(draft.http.host, policy::HostUse::kFirst);
  ASSERT_EQ(draft.rules.size(), 5u);
  EXPECT_EQ(draft.rules[0].rule.id, "profile python:3");
  EXPECT_EQ(draft.rules[1].rule.id, "internet-but");
  EXPECT_EQ(draft.rules[2].rule.id, "ci.toml:23");
  EXPECT_EQ(draft.rules[3].rule.id, "ci.toml:23");
  EXPECT_EQ(draft.rules[3].rule.private_addresses.size(), 1u);
  EXPECT_EQ(draft.rules[3].rule.sni, policy::SniUse::kOff);
  EXPECT_EQ(draft.rules[3].rule.host, policy::HostUse::kOff);
  EXPECT_EQ(draft.rules[4].rule.effect, Effect::kDeny);
  EXPECT_EQ(draft.rules[4].rule.note, "Not from here.");
}

TEST_F(PolicyFile, AnUnknownKeyIsAnErrorWithASuggestion) {
  EXPECT_EQ(read("defalt = \"deny\"\n[[rule]]\nalow = \"a.test\"\n"),
            "/etc/ci.toml:1: unknown key 'defalt'; did you mean 'default'?\n"
            "/etc/ci.toml:2: a rule has no target; expected allow = \"example.com\", ask = "
            "\"example.com\" or deny = \"example.com\"\n"
            "/etc/ci.toml:3: unknown key 'rule.alow'; did you mean 'rule.allow'?\n");
  EXPECT_EQ(read("[dns]\nresolver = \"9.9.9.9\"\n"),
            "/etc/ci.toml:2: unknown key 'dns.resolver'\n");
}

TEST_F(PolicyFile, SaysWhatIsWrong) {
  EXPECT_EQ(
      read("[[rule]]\nallow = \"*.com\"\n"),
      "/etc/ci.toml:2: '*.com' is not a target; expected a narrower one: anybody can register "
      "a name below 'com'; '*' is for all\n");
  EXPECT_NE(read("default = \"perhaps\"\n"), "");
  EXPECT_NE(read("version = 2\n"), "");
  EXPECT_NE(read("[[rule]]\nallow = \"a.test\"\ndeny = \"b.test\"\n"), "");
  EXPECT_NE(read("[[rule]]\nallow = \"10.0.0.1\"\nsni = \"off\"\n"), "");
  EXPECT_NE(read("[[rule]]\ndeny = \"a.test\"\nprivate = \"10.0.0.0/8\"\n"), "");
  EXPECT_NE(read("[[rule]]\nallow = [1]\n"), "");
  EXPECT_NE(read("[[rule]]\nallow = \"a.test\"\nprivate = \"lan\"\n"), "");
  EXPECT_NE(read("[[rule]]\nallow = \"a.test\"\nnote = \"two\\nlines\"\n"), "");
  EXPECT_NE(read("[dns]\ntypes = [\"ANY\"]\n"), "");
  EXPECT_NE(read("[[rule\n"), "");
}

TEST_F(PolicyFile, AProfileThatIsMissingOrWrongIsAnError) {
  EXPECT_EQ(read("use = [\"pyton\"]\n"),
            "/etc/ci.toml:1: there is no profile 'pyton'; did you mean 'python'?\n");
  EXPECT_NE(read("use = [\"../python\"]\n"), "");
  EXPECT_NE(read("use = [\"wrong\"]\n").find("a profile has mistakes"), std::string::npos);
}

TEST_F(PolicyFile, AProfileIsAddedOnce) {
  ASSERT_EQ(read("use = [\"python\", \"ring\", \"python\"]\n"), "");
  EXPECT_EQ(parts_.draft.rules.size(), 1u);
  EXPECT_EQ(parts_.sources, (std::vector<std::string>{"python", "ring"}));
}

TEST_F(PolicyFile, IsReadFromDisk) {
  PolicyReader reader(library_, parts_);
  ASSERT_TRUE(reader.add_file(folder_ + "/python.toml").has_value());
  EXPECT_EQ(parts_.draft.rules[0].rule.id, "python.toml:3");
  EXPECT_FALSE(reader.add_file(folder_ + "/none.toml").has_value());
  EXPECT_FALSE(reader.add_file(folder_).has_value());
  EXPECT_EQ(reader.add_profile("python")->risk, "b");
}

TEST_F(PolicyFile, ReadsLimitsOfTheRunAndOfRules) {
  ASSERT_EQ(read(R"(
[limits]
to-host = "2GiB"
rate = "1MiB/s"
[[rule]]
id = "few"
allow = ["a.test", "10.0.0.0/8"]
limit = { to-host = "50MiB", rate = 1000, from-host-rate = 500, flows = 8 }
)"),
            "");
  EXPECT_EQ(parts_.draft.limit,
            (policy::TrafficLimit{.to_host = {.bytes = 2ULL << 30, .rate = 1 << 20},
                                  .from_host = {.rate = 1 << 20}}));
  ASSERT_EQ(parts_.draft.rules.size(), 2u);
  const policy::TrafficLimit wanted{
      .to_host = {.bytes = 50 << 20, .rate = 1000}, .from_host = {.rate = 500}, .flows = 8};
  for (const policy::DraftRule& rule : parts_.draft.rules) EXPECT_EQ(rule.rule.limit, wanted);
}

TEST_F(PolicyFile, WrongLimitsAreErrors) {
  EXPECT_NE(read("[[rule]]\nallow = \"a.test\"\nlimit = { to_host = 5 }\n"), "");
  EXPECT_NE(read("[[rule]]\nallow = \"a.test\"\nlimit = { flows = 0 }\n"), "");
  EXPECT_NE(read("[[rule]]\nallow = \"a.test\"\nlimit = { rate = \"fast\" }\n"), "");
  EXPECT_NE(read("[[rule]]\ndeny = \"a.test\"\nlimit = { flows = 5 }\n"), "");
  EXPECT_NE(read("[limits]\nto-host = 0\n"), "");
}

}  // namespace
}  // namespace sluice::config
