// `sluice forward --check`: what would run, or what is wrong.
#include "app/forward/forward_command.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace sluice::app {
namespace {

struct Outcome {
  int status = -1;
  std::string output;
  std::string errors;
};

Outcome check(std::vector<const char*> arguments) {
  arguments.push_back("--check");
  std::vector<const char*> words{"sluice", "forward"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  const auto status = start_forward(words, arguments);
  Outcome outcome{status ? *status : status.error().exit_code,
                  ::testing::internal::GetCapturedStdout(),
                  ::testing::internal::GetCapturedStderr()};
  if (!status) outcome.errors += status.error().text;
  return outcome;
}

class ForwardCheck : public ::testing::Test {
 protected:
  ~ForwardCheck() override { std::filesystem::remove(path_); }
  const char* file_with(const std::string& text) {
    std::ofstream(path_) << text;
    return path_.c_str();
  }

 private:
  std::string path_ = (std::filesystem::temp_directory_path() /
                       ("sluice_forward_check_" + std::to_string(::getpid()) + ".conf"))
                          .string();
};

TEST_F(ForwardCheck, PrintsTheRulesOfTheCommandLine) {
  const Outcome outcome = check({"127.0.0.1:8080", "10.0.0.2:80,10.0.0.3:80"});
  EXPECT_EQ(outcome.status, 0) << outcome.errors;
  EXPECT_EQ(outcome.errors, "");
  for (const char* part : {"127.0.0.1:8080", "10.0.0.2:80", "10.0.0.3:80", "round-robin"}) {
    EXPECT_NE(outcome.output.find(part), std::string::npos) << part << " in\n" << outcome.output;
  }
}

TEST_F(ForwardCheck, RulesMustGoTogether) {
  const Outcome twice = check({"8080", "10.0.0.2:80", "8000-8090", "10.0.0.3:80-170"});
  EXPECT_EQ(twice.status, 2);
  EXPECT_EQ(twice.output, "");
  EXPECT_NE(twice.errors.find("listens on"), std::string::npos) << twice.errors;
  EXPECT_EQ(check({"8080", "tcp://10.0.0.2:80,udp://10.0.0.3:80"}).status, 2);
  EXPECT_EQ(check({"53", "10.0.0.2:53", "udp://:53", "udp://10.0.0.2:53"}).status, 0);
  EXPECT_EQ(check({"127.0.0.1:53", "10.0.0.2:53", "127.0.0.2:53", "10.0.0.2:53"}).status, 0);
}

TEST_F(ForwardCheck, OptionsHoldOverTheFile) {
  const char* const path = file_with("logfile /var/log/one.log\n0.0.0.0 80 10.0.0.2 80\n");
  const Outcome plain = check({"-c", path});
  EXPECT_EQ(plain.status, 0) << plain.errors;
  EXPECT_NE(plain.output.find("/var/log/one.log"), std::string::npos) << plain.output;
  const Outcome other = check({"-c", path, "--log-file=/var/log/two.log", "--deny=10.6.6.6"});
  EXPECT_EQ(other.output.find("/var/log/one.log"), std::string::npos) << other.output;
  EXPECT_NE(other.output.find("/var/log/two.log"), std::string::npos) << other.output;
  EXPECT_NE(other.output.find("10.6.6.6"), std::string::npos) << other.output;
}

TEST_F(ForwardCheck, EveryMistakeOfAFileHasALine) {
  const char* const path = file_with("0.0.0.0 80 10.0.0.2\n0.0.0.0 81 10.0.0.2 80\nallow x.y\n");
  const Outcome outcome = check({"-c", path});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.output, "");
  EXPECT_NE(outcome.errors.find(".conf:1: "), std::string::npos) << outcome.errors;
  EXPECT_NE(outcome.errors.find(".conf:3: "), std::string::npos) << outcome.errors;
}

TEST_F(ForwardCheck, AFileThatIsNotThere) {
  const Outcome outcome = check({"-c", "/nonexistent/rules.toml"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_NE(outcome.errors.find("/nonexistent/rules.toml"), std::string::npos) << outcome.errors;
}

}  // namespace
}  // namespace sluice::app
