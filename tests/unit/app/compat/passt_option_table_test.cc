#include "app/compat/passt_option_table.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "app/compat/pasta/pasta_option_table.h"

namespace sluice::app {
namespace {

// Of two options by one name or letter getopt would find the first alone.
TEST(PasstOptionTable, NamesAndLettersAreOneOptions) {
  std::set<std::string> names;
  std::set<char> letters;
  for (const auto options : {common_passt_options(), pasta_options()}) {
    for (const PasstOption& option : options) {
      EXPECT_TRUE(names.insert(option.name).second) << option.name;
      if (option.letter == 0) continue;
      EXPECT_TRUE(letters.insert(option.letter).second) << option.name;
    }
  }
}

TEST(PasstOptionTable, PortsAreForgottenByNone) {
  PasstDraft draft;
  ASSERT_TRUE(take_ports(draft, {"-t", "22,80"}, policy::Protocol::kTcp).has_value());
  EXPECT_EQ(draft.tcp_ports.size(), 2U);
  EXPECT_FALSE(draft.udp_given);
  ASSERT_TRUE(take_ports(draft, {"-t", "none"}, policy::Protocol::kTcp).has_value());
  EXPECT_TRUE(draft.tcp_ports.empty());
  ASSERT_TRUE(take_ports(draft, {"-u", "none"}, policy::Protocol::kUdp).has_value());
  EXPECT_TRUE(draft.udp_given);
}

TEST(PasstOptionTable, MacsAreOfHosts) {
  std::optional<wire::MacAddress> mac;
  EXPECT_FALSE(take_mac({"-M", "00:00:00:00:00:00"}, mac).has_value());
  EXPECT_FALSE(take_mac({"-M", "nothing"}, mac).has_value());
  ASSERT_TRUE(take_mac({"-M", "52:54:00:aa:bb:cc"}, mac).has_value());
  ASSERT_TRUE(mac.has_value());
  EXPECT_EQ(wire::to_string(*mac), "52:54:00:aa:bb:cc");
}

}  // namespace
}  // namespace sluice::app
