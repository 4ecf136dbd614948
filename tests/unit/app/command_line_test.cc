#include "app/command_line.h"

#include <gtest/gtest.h>

#include <array>
#include <string_view>
#include <vector>

#include "app/options/help.h"
#include "base/suggestion.h"

namespace sluice::app {
namespace {

EarlyExit exit_of(const std::vector<const char*>& words) {
  const auto parsed = parse_command_line(words);
  EXPECT_FALSE(parsed.has_value());
  return parsed ? EarlyExit{"", -1} : parsed.error();
}

TEST(CommandLine, RunHasTheWordsBehindIt) {
  const std::vector<const char*> words{"run", "-4", "true"};
  const auto rest = parse_command_line(words);
  ASSERT_TRUE(rest.has_value());
  EXPECT_EQ(rest->command, CommandId::kRun);
  ASSERT_EQ(rest->arguments.size(), 2u);
  EXPECT_EQ(std::string_view(rest->arguments[0]), "-4");
}

TEST(CommandLine, ForwardIsACommand) {
  const std::vector<const char*> words{"forward", "8080", "10.0.0.2:80"};
  const auto rest = parse_command_line(words);
  ASSERT_TRUE(rest.has_value());
  EXPECT_EQ(rest->command, CommandId::kForward);
  EXPECT_EQ(rest->arguments.size(), 2u);
}

TEST(CommandLine, TheLastPartOfTheProgramsPathSaysWhoWeAre) {
  EXPECT_EQ(program_called("sluice"), Program::kSluice);
  EXPECT_EQ(program_called("/usr/sbin/rinetd"), Program::kRinetd);
  EXPECT_EQ(program_called("rinetd"), Program::kRinetd);
  EXPECT_EQ(program_called("./oi"), Program::kOi);
  EXPECT_EQ(program_called("/usr/local/bin/passt"), Program::kPasst);
  EXPECT_EQ(program_called("pasta"), Program::kPasta);
  EXPECT_EQ(program_called("/usr/bin/slirp4netns"), Program::kSlirp4netns);
  EXPECT_EQ(program_called("/opt/rinetd/bin/sluice"), Program::kSluice);
  EXPECT_EQ(program_called("rinetd.old"), Program::kSluice);
  EXPECT_EQ(program_called(""), Program::kSluice);
}

TEST(CommandLine, WithoutACommandTheCommandsAreNamed) {
  const EarlyExit exit = exit_of({});
  EXPECT_EQ(exit.exit_code, 2);
  for (const Command* const command : all_commands()) {
    EXPECT_NE(exit.text.find(command->program), std::string::npos) << command->program;
  }
}

TEST(CommandLine, HelpAndVersion) {
  EXPECT_EQ(exit_of({"help"}).text, main_help());
  EXPECT_EQ(exit_of({"--help"}).text, main_help());
  EXPECT_EQ(exit_of({"-h"}).exit_code, 0);
  EXPECT_EQ(exit_of({"help", "run"}).text, command_help(kRunCommand));
  EXPECT_EQ(exit_of({"help", "forward"}).text, command_help(kForwardCommand));
  EXPECT_EQ(exit_of({"--version"}).text, version_text());
  EXPECT_TRUE(version_text().starts_with("sluice 0."));
}

TEST(CommandLine, MistakesHaveOneLineAndASuggestion) {
  EXPECT_EQ(exit_of({"rnu"}).text,
            "sluice: unknown command 'rnu'; did you mean 'run'?; see 'sluice --help'\n");
  EXPECT_EQ(exit_of({"forwad"}).text,
            "sluice: unknown command 'forwad'; did you mean 'forward'?; see 'sluice --help'\n");
  EXPECT_EQ(exit_of({"--hlep"}).text,
            "sluice: unknown option '--hlep'; did you mean '--help'?; see 'sluice --help'\n");
  EXPECT_EQ(exit_of({"frobnicate"}).text,
            "sluice: unknown command 'frobnicate'; see 'sluice --help'\n");
  EXPECT_EQ(exit_of({""}).text, "sluice: unknown command ''; see 'sluice --help'\n");
  for (const auto& words : std::vector<std::vector<const char*>>{{}, {"rnu"}, {"help", "x"}}) {
    EXPECT_EQ(exit_of(words).exit_code, 2);
  }
}

TEST(Suggestion, OnlyWhatIsNear) {
  constexpr std::array<std::string_view, 3> kWords{"--publish", "--pcap", "run"};
  EXPECT_EQ(nearest("--pubilsh", kWords), "--publish");
  EXPECT_EQ(nearest("--pcpa", kWords), "--pcap");
  EXPECT_EQ(nearest("--paca", kWords), "--pcap");
  EXPECT_EQ(nearest("ru", kWords), "run");
  EXPECT_EQ(nearest("xyz", kWords), "");
  EXPECT_EQ(nearest("", kWords), "");
  EXPECT_EQ(nearest(std::string(100'000, '-'), kWords), "");
}

}  // namespace
}  // namespace sluice::app
