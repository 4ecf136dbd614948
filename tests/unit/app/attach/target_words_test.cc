#include "app/attach/target_words.h"

#include <gtest/gtest.h>

namespace sluice::app {
namespace {

TEST(TargetWords, ProcessesAreNumbers) {
  EXPECT_TRUE(is_process_word("1"));
  EXPECT_FALSE(is_process_word(""));
  EXPECT_FALSE(is_process_word("1a"));
  EXPECT_FALSE(is_process_word("-1"));
  EXPECT_EQ(parse_process("TARGET", "4711"), 4711);
  const auto none = parse_process("PID", "0");
  ASSERT_FALSE(none.has_value());
  EXPECT_TRUE(none.error().text.starts_with("PID: '0' is out of range"));
}

TEST(TargetWords, ANameIsOneOfIpNetns) {
  EXPECT_EQ(network_path("blue"), "/run/netns/blue");
  EXPECT_EQ(network_path("./blue"), "./blue");
  EXPECT_EQ(network_path("/proc/1/ns/net"), "/proc/1/ns/net");
}

}  // namespace
}  // namespace sluice::app
