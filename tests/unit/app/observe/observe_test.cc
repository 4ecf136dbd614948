#include "app/observe/observe.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::app {
namespace {

std::expected<ObserveOptions, EarlyExit> parse(std::vector<const char*> words) {
  return parse_observe_options(words);
}

TEST(Observe, OptionsBecomeAFilter) {
  const auto options =
      parse({"-f", "--denied", "--name", "*.example.org", "--name", "b.test", "--proto", "tcp",
             "--port", "443", "--peer", "192.0.2.0/24", "--json", "file"});
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->what, "file");
  EXPECT_TRUE(options->follow);
  EXPECT_TRUE(options->json);
  telemetry::SeenEvent event;
  event.type = "deny";
  event.flow = "1";
  event.name = "a.example.org";
  event.proto = "tcp";
  event.port = 443;
  event.address = "192.0.2.7";
  EXPECT_TRUE(options->filter.wants(event));
  event.name = "b.test";
  EXPECT_TRUE(options->filter.wants(event));
  event.type = "open";
  EXPECT_FALSE(options->filter.wants(event));
}

TEST(Observe, WithoutAWordItIsOfTheOnlyRun) {
  const auto options = parse({"--denied"});
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->what, "");
}

TEST(Observe, MistakesNameTheirOption) {
  const auto error_of = [](std::vector<const char*> words) {
    const auto options = parse(std::move(words));
    return options ? std::string() : options.error().text;
  };
  EXPECT_NE(error_of({"a", "b"}).find("more than one run, or file"), std::string::npos);
  EXPECT_NE(error_of({"--port", "x", "a"}).find("--port: 'x' is not a list of ports"),
            std::string::npos);
  EXPECT_NE(error_of({"--type", "x", "a"}).find("--type: 'x' is not a type"), std::string::npos);
  EXPECT_NE(error_of({"--name", "", "a"}).find("--name: name is empty"), std::string::npos);
}

}  // namespace
}  // namespace sluice::app
