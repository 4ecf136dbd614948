#include "clients/arguments.h"

#include <gtest/gtest.h>

#include "clients/latency_options.h"

namespace sluice::bench {
namespace {

const LatencyClient kClient{.name = "demo", .count = "N", .measured = "Measures.\n"};

// Owns the words for as long as the Arguments look at them.
class Line {
 public:
  explicit Line(std::vector<std::string> words) : words_(std::move(words)) {
    words_.insert(words_.begin(), "demo");
    for (std::string& word : words_) argv_.push_back(word.data());
  }
  Arguments parse() {
    return {static_cast<int>(argv_.size()),
            argv_.data(),
            {"demo WORD [--name N]", "Text.\n"},
            {"--name"},
            {"--flag"}};
  }
  LatencyOptions parse_as_latency() {
    return parse_latency(latency_arguments(static_cast<int>(argv_.size()), argv_.data(), kClient),
                         kClient);
  }

 private:
  std::vector<std::string> words_;
  std::vector<char*> argv_;
};

auto usage_error() { return ::testing::ExitedWithCode(2); }

TEST(Arguments, WordsOptionsAndFlags) {
  Line line({"one", "--name", "5", "--flag", "two", "--name=7"});
  const Arguments arguments = line.parse();
  arguments.require_positional(2);
  EXPECT_EQ(arguments.text(0), "one");
  EXPECT_EQ(arguments.text(1), "two");
  EXPECT_TRUE(arguments.has("--flag"));
  EXPECT_EQ(arguments.number("--name", 1), 7u);
  EXPECT_EQ(arguments.number("--other", 1), 1u);
  EXPECT_EQ(arguments.all("--name"), (std::vector<std::string_view>{"5", "7"}));
}

TEST(ArgumentsDeathTest, MistakesNameTheWord) {
  EXPECT_EXIT(Line({"--nmae", "5"}).parse(), usage_error(), "demo: unknown option '--nmae'");
  EXPECT_EXIT(Line({"--name"}).parse(), usage_error(), "a value is missing after '--name'");
  EXPECT_EXIT(Line({"--flag=1"}).parse(), usage_error(), "unknown option '--flag=1'");
  EXPECT_EXIT(Line({"a", "b"}).parse().require_positional(1), usage_error(), "too many: 'b'");
  EXPECT_EXIT(Line({"a"}).parse().require_positional(2), usage_error(), "missing after 'a'");
  EXPECT_EXIT((void)Line({"7x"}).parse().number(0), usage_error(), "whole number, not '7x'");
  EXPECT_EXIT((void)Line({"70000"}).parse().port(0), usage_error(), "1 to 65535, not '70000'");
  EXPECT_EXIT((void)Line({"--name=9"}).parse().number("--name", 1, 1, 8), usage_error(),
              "--name must be 1 to 8, not '9'");
}

TEST(ArgumentsDeathTest, HelpSucceeds) {
  EXPECT_EXIT(Line({"--help"}).parse(), ::testing::ExitedWithCode(0), "");
}

TEST(LatencyOptions, CountIsOfEachFlow) {
  const LatencyOptions plain = Line({"127.0.0.1", "7", "50", "--concurrency=3"}).parse_as_latency();
  EXPECT_EQ(plain.per_flow, 50u);
  EXPECT_EQ(plain.flows, 3u);
  EXPECT_EQ(plain.rate, 0u);
  const LatencyOptions paced =
      Line({"::1", "7", "50", "--concurrency=3", "--rate=10"}).parse_as_latency();
  EXPECT_EQ(paced.total, 150u);
  EXPECT_EQ(paced.server.family(), AF_INET6);
}

TEST(LatencyOptions, SecondsTimesRate) {
  const LatencyOptions options =
      Line({"127.0.0.1", "7", "--rate=1000", "--seconds=5", "--timeout-ms=9"}).parse_as_latency();
  EXPECT_EQ(options.total, 5000u);
  EXPECT_EQ(options.rate, 1000u);
  EXPECT_EQ(options.timeout_ns, 9'000'000u);
}

TEST(LatencyOptionsDeathTest, OptionsThatNeedEachOther) {
  EXPECT_EXIT((void)Line({"127.0.0.1", "7", "5", "--seconds=5"}).parse_as_latency(), usage_error(),
              "only with --rate can there be '--seconds'");
  EXPECT_EXIT((void)Line({"127.0.0.1", "7", "5", "--timeout-ms=5"}).parse_as_latency(),
              usage_error(), "only with --rate can there be '--timeout-ms'");
  EXPECT_EXIT((void)Line({"127.0.0.1", "7", "--rate=5"}).parse_as_latency(), usage_error(),
              "either COUNT or '--seconds'");
  EXPECT_EXIT((void)Line({"127.0.0.1", "7", "5", "--family=5"}).parse_as_latency(), usage_error(),
              "--family must be 4 or 6, not '5'");
  EXPECT_EXIT((void)Line({"127.0.0.1", "7"}).parse_as_latency(), usage_error(),
              "missing after '7'");
}

}  // namespace
}  // namespace sluice::bench
