#include "config/egress/policy_request.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "config/egress/policy_file.h"
#include "unit/config/egress/own_folder.h"

namespace sluice::config {
namespace {

class Request : public testing::Test {
 protected:
  Request() {
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ + "/python.toml") << "[[rule]]\nallow = [\"pypi.org\", \"b.test\"]\n";
    std::ofstream(folder_ + "/open.toml") << "default = \"allow\"\n";
  }
  ~Request() override { std::filesystem::remove_all(folder_); }

  std::string described(const PolicyRequest& request) {
    const auto parts = read_policy(request, ProfileLibrary({folder_}));
    return parts ? describe_policy(*parts) : "error: " + parts.error();
  }

  std::string folder_ = own_folder();
};

TEST_F(Request, TheDefaultFollowsFromWhatIsAsked) {
  EXPECT_EQ(described({}), "default allow, 0 rules");
  EXPECT_EQ(described({.deny = {"10.0.0.0/8"}}), "default allow, 1 rule");
  EXPECT_EQ(described({.allow = {"a.test"}}), "default deny, 1 rule");
  EXPECT_EQ(described({.allow = {"10.1.0.0/16"}, .deny = {"10.0.0.0/8"}}),
            "default allow, 2 rules");
  EXPECT_EQ(described({.profiles = {"python"}}), "default deny, 2 rules (python)");
  EXPECT_EQ(described({.files = {folder_ + "/python.toml"}}),
            "default deny, 2 rules (python.toml)");
  EXPECT_EQ(described({.files = {folder_ + "/open.toml"}}), "default allow, 0 rules (open.toml)");
  EXPECT_EQ(described({.files = {folder_ + "/open.toml"}, .fallback = "deny"}),
            "default deny, 0 rules (open.toml)");
  EXPECT_EQ(described({.allow = {"a.test"}, .fallback = "allow"}), "default allow, 1 rule");
  EXPECT_EQ(described({.deny = {"b.test"}, .profiles = {"python,open"}}),
            "default allow, 3 rules (python, open)");
}

TEST_F(Request, AskingIsADefaultOrARule) {
  EXPECT_EQ(described({.ask = {std::string(kAskDefault)}}), "default ask, 0 rules");
  EXPECT_EQ(described({.ask = {"a.test"}}), "default deny, 1 rule");
  EXPECT_EQ(described({.fallback = "ask"}), "default ask, 0 rules");
  EXPECT_TRUE(described({.ask = {std::string(kAskDefault)}, .fallback = "deny"})
                  .starts_with("error: --ask is --default ask"));
}

TEST_F(Request, AMistakeNamesTheOptionOrTheLine) {
  EXPECT_EQ(described({.deny = {"10.0.0.0/33"}}),
            "error: --deny: '10.0.0.0/33' is not a rule; expected a prefix length from 0 to 32 "
            "(IPv4) or from 0 to 128 (IPv6)");
  EXPECT_TRUE(described({.allow = {"a b"}}).starts_with("error: --allow: 'a b' is not a rule"));
  EXPECT_EQ(described({.profiles = {"pyhton"}}),
            "error: --profile: there is no profile 'pyhton'; did you mean 'python'?");
  EXPECT_EQ(described({.fallback = "maybe"}),
            "error: --default: 'maybe' is no default; expected deny, ask or allow");
  EXPECT_TRUE(
      described({.files = {"/none.toml"}}).starts_with("error: /none.toml: cannot be read"));
}

TEST_F(Request, ProfilesThatComeWithTheProgramAreWhole) {
  const ProfileLibrary library({std::string(SLUICE_ROOT) + "/data/profiles"});
  const auto names = library.names();
  EXPECT_GE(names.size(), 9u);
  for (const std::string& name : names) {
    PolicyParts parts;
    PolicyReader reader(library, parts);
    const auto note = reader.add_profile(name);
    ASSERT_TRUE(note.has_value()) << name << ": " << note.error().front().describe();
    EXPECT_FALSE(note->about.empty()) << name;
    EXPECT_FALSE(note->risk.empty()) << name;
  }
}

}  // namespace
}  // namespace sluice::config
