#include "app/top/top_model.h"

#include <gtest/gtest.h>

namespace sluice::app {
namespace {

using namespace std::chrono_literals;

std::optional<std::string> last_two(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string::npos || dot == 0) return std::nullopt;
  const std::size_t before = name.rfind('.', dot - 1);
  return before == std::string::npos ? name : name.substr(before + 1);
}

TopFlow flow(const char* number, const char* name, std::uint64_t out, std::uint64_t in,
             double seconds = 100) {
  return {.number = number,
          .proto = "tcp",
          .name = name,
          .address = "192.0.2.7",
          .port = 443,
          .path = "tap",
          .to_host = out,
          .to_guest = in,
          .seconds = seconds};
}

TEST(TopModel, ALineOfTheRunIsAFlow) {
  const auto read = read_top_flow(
      R"({"v":1,"id":0,"more":true,"flow":"00c0ffee00c0ffee","proto":"tcp","direction":"out",)"
      R"("guest":"10.0.2.15","guest_port":40000,"name":"a\u001b.test","address":"192.0.2.7",)"
      R"("port":443,"duration_s":1.5,"bytes_to_host":3,"bytes_to_guest":4,"path":"kernel"})");
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->name, "a?.test") << "nothing reaches a terminal raw";
  EXPECT_EQ(read->guest_port, 40'000);
  EXPECT_EQ(read->path, "kernel");
  EXPECT_EQ(read->target(), "a?.test:443/tcp");
  for (const char* line : {"", "[]", "{}", R"({"ok":true})"}) {
    EXPECT_FALSE(read_top_flow(line).has_value()) << line;
  }
  EXPECT_TRUE(read_top_flow(R"({"flow":7,"port":99999999,"duration_s":"x"})").has_value());
}

TEST(TopModel, RatesAreOfTheTimeBetweenTwoLooks) {
  TopModel model(last_two);
  model.look({flow("1", "a.example.org", 1000, 0)}, Instant{10s});
  EXPECT_EQ(model.flows()[0].to_host_rate, 0) << "nothing is known of before";
  model.look({flow("1", "a.example.org", 3000, 500), flow("2", "b.example.org", 70, 0, 1.0)},
             Instant{12s});
  EXPECT_EQ(model.flows()[0].to_host_rate, 1000);
  EXPECT_EQ(model.flows()[0].to_guest_rate, 250);
  EXPECT_EQ(model.flows()[1].to_host_rate, 35) << "it began in between";
}

TEST(TopModel, FlowsOfADomainAreAGroup) {
  TopModel model(last_two);
  TopFlow inbound = flow("4", "", 1, 1);
  inbound.inbound = true;
  inbound.guest_port = 80;
  TopFlow kernel = flow("2", "b.example.org", 1, 0, 300);
  kernel.path = "kernel";
  model.look({flow("1", "a.example.org", 10, 20), kernel, flow("3", "", 5, 0), inbound},
             Instant{1s});
  const auto groups = model.groups(TopSort::kTotal, "");
  ASSERT_EQ(groups.size(), 3u);
  EXPECT_EQ(groups[0].title, "example.org");
  EXPECT_EQ(groups[0].flows.size(), 2u);
  EXPECT_EQ(groups[0].path, "mixed");
  EXPECT_EQ(groups[1].path, "tap");
  EXPECT_EQ(groups[0].seconds, 300);
  EXPECT_EQ(groups[1].title, "192.0.2.7");
  EXPECT_EQ(groups[2].title, "< published :80");
}

TEST(TopModel, OrdersAndFilters) {
  TopModel model(last_two);
  model.look(
      {flow("1", "b.test", 100, 0, 1), flow("2", "a.test", 1, 0, 9), flow("3", "a.test", 1, 0, 9)},
      Instant{1s});
  EXPECT_EQ(model.groups(TopSort::kTotal, "")[0].title, "b.test");
  EXPECT_EQ(model.groups(TopSort::kFlows, "")[0].title, "a.test");
  EXPECT_EQ(model.groups(TopSort::kAge, "")[0].title, "a.test");
  EXPECT_EQ(model.groups(TopSort::kName, "")[0].title, "a.test");
  const auto filtered = model.groups(TopSort::kRate, "b.te");
  ASSERT_EQ(filtered.size(), 1u);
  EXPECT_EQ(filtered[0].title, "b.test");
}

}  // namespace
}  // namespace sluice::app
