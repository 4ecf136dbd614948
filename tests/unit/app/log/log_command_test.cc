#include "app/log/log_command.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::app {
namespace {

std::expected<LogOptions, EarlyExit> parse(std::vector<const char*> words) {
  return parse_log_options(words);
}

TEST(LogCommand, KnowsItsFormats) {
  EXPECT_EQ(parse({"convert", "--to", "ocsf", "f"})->to, LogTarget::kOcsf);
  EXPECT_EQ(parse({"convert", "f", "--to", "eve"})->to, LogTarget::kEve);
  const auto zeek = parse({"--to", "zeek", "convert", "-"});
  ASSERT_TRUE(zeek.has_value());
  EXPECT_EQ(zeek->to, LogTarget::kZeek);
  EXPECT_EQ(zeek->file, "-");
}

TEST(LogCommand, MistakesAreToldWithTheMend) {
  const auto error_of = [](std::vector<const char*> words) {
    const auto options = parse(std::move(words));
    return options ? std::string() : options.error().text;
  };
  EXPECT_NE(error_of({}).find("expected 'convert' and a file"), std::string::npos);
  EXPECT_NE(error_of({"show", "f"}).find("expected 'convert' and a file"), std::string::npos);
  EXPECT_NE(error_of({"convert", "--to", "eve"}).find("no file"), std::string::npos);
  EXPECT_NE(error_of({"convert", "--to", "eve", "a", "b"}).find("more than one"),
            std::string::npos);
  EXPECT_NE(error_of({"convert", "f"}).find("--to is missing"), std::string::npos);
  EXPECT_NE(error_of({"convert", "--to", "cef", "f"}).find("'cef' is not a format"),
            std::string::npos);
}

}  // namespace
}  // namespace sluice::app
