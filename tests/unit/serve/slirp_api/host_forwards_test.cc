#include "serve/slirp_api/host_forwards.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace sluice::serve {
namespace {

class Ports final : public PortSet {
 public:
  std::expected<policy::PortMap, Refusal> publish(const policy::PortMap& map) override {
    if (refuses) return std::unexpected(Refusal{"cannot-listen", "somebody has it"});
    all.push_back(map);
    return map;
  }
  bool unpublish(const policy::PortMap& map) override { return std::erase(all, map) > 0; }
  [[nodiscard]] bool has(const policy::PortMap& map) const override {
    return std::ranges::find(all, map) != all.end();
  }
  [[nodiscard]] bool waits_at(policy::Protocol, const wire::Endpoint&) const override {
    return false;
  }

  std::vector<policy::PortMap> all;
  bool refuses = false;
};

class HostForwardsTest : public testing::Test {
 protected:
  HostForwardsTest() { network_.guest_v4 = wire::IpAddress::v4(0x0a00'0264); }

  std::string ask(std::string_view text) {
    const auto request = read_slirp_request(text, SlirpInput::kEnded);
    return request ? forwards_.answer(*request) : "(nothing)";
  }
  std::string add(const std::string& arguments) {
    return ask(R"({"execute":"add_hostfwd","arguments":{)" + arguments + "}}");
  }
  std::string list() { return ask(R"({"execute":"list_hostfwd"})"); }
  std::string remove(int id) {
    return ask(R"({"execute":"remove_hostfwd","arguments":{"id":)" + std::to_string(id) + "}}");
  }

  Ports ports_;
  flow::GuestNetwork network_;
  HostForwards forwards_{ports_, network_};
};

TEST_F(HostForwardsTest, WhatIsAddedIsPublishedAndListedUntilItIsRemoved) {
  EXPECT_EQ(list(), R"({"entries":[]})");
  EXPECT_EQ(add(R"("proto":"tcp","host_port":8080,"guest_port":80)"), R"({"return":{"id":1}})");
  EXPECT_EQ(add(R"("proto":"udp","host_addr":"127.0.0.1","host_port":53,"guest_port":54)"),
            R"({"return":{"id":2}})");
  ASSERT_EQ(ports_.all.size(), 2u);
  EXPECT_EQ(policy::to_string(ports_.all[0]), "0.0.0.0:8080:80");
  EXPECT_EQ(policy::to_string(ports_.all[1]), "127.0.0.1:53:54/udp");
  EXPECT_EQ(list(), R"({"entries":[{"id":1,"proto":"tcp","host_addr":"0.0.0.0","host_port":8080,)"
                    R"("guest_addr":"10.0.2.100","guest_port":80},)"
                    R"({"id":2,"proto":"udp","host_addr":"127.0.0.1","host_port":53,)"
                    R"("guest_addr":"10.0.2.100","guest_port":54}]})");
  EXPECT_EQ(remove(1), R"({"return":{}})");
  EXPECT_EQ(ports_.all.size(), 1u);
  EXPECT_EQ(remove(1), R"({"error":{"desc":"bad request: remove_hostfwd: bad arguments.id"}})");
  EXPECT_EQ(add(R"("proto":"tcp","host_port":8080,"guest_port":80)"), R"({"return":{"id":3}})");
}

TEST_F(HostForwardsTest, WhatCannotBePublishedUsesNoNumberUp) {
  ports_.refuses = true;
  EXPECT_EQ(add(R"("proto":"tcp","host_port":8080,"guest_port":80)"),
            R"({"error":{"desc":"bad request: add_hostfwd: slirp_add_hostfwd failed"}})");
  EXPECT_EQ(list(), R"({"entries":[]})");
  ports_.refuses = false;
  EXPECT_EQ(add(R"("proto":"tcp","host_port":8080,"guest_port":80)"), R"({"return":{"id":1}})");
}

TEST_F(HostForwardsTest, AnotherAddressOfTheGuestIsWithinItsNetwork) {
  EXPECT_EQ(add(R"("proto":"tcp","host_port":1,"guest_port":2,"guest_addr":"10.0.2.101")"),
            R"({"return":{"id":1}})");
  ASSERT_TRUE(ports_.all[0].guest_address.has_value());
  EXPECT_EQ(wire::to_string(*ports_.all[0].guest_address), "10.0.2.101");
  EXPECT_EQ(add(R"("proto":"tcp","host_port":3,"guest_port":2,"guest_addr":"8.8.8.8")"),
            R"({"error":{"desc":"bad request: add_hostfwd: bad arguments.guest_addr"}})");
  // slirp4netns lists it as it was said, too.
  EXPECT_EQ(add(R"("proto":"tcp","host_port":4,"guest_port":2,"guest_addr":"0.0.0.0")"),
            R"({"return":{"id":2}})");
  EXPECT_FALSE(ports_.all[1].guest_address.has_value());
  EXPECT_NE(list().find(R"("guest_addr":"0.0.0.0")"), std::string::npos);
}

TEST_F(HostForwardsTest, WhatSomebodyElseTookAwayIsListedNoMore) {
  EXPECT_EQ(add(R"("proto":"tcp","host_port":8080,"guest_port":80)"), R"({"return":{"id":1}})");
  ports_.all.clear();
  EXPECT_EQ(list(), R"({"entries":[]})");
  EXPECT_EQ(remove(1), R"({"error":{"desc":"bad request: remove_hostfwd: bad arguments.id"}})");
}

TEST_F(HostForwardsTest, AMistakeIsAnsweredWithItsReason) {
  EXPECT_EQ(ask("garbage"), R"({"error":{"desc":"bad request: cannot parse JSON"}})");
  EXPECT_EQ(ask("[]"), R"({"error":{"desc":"bad request: json_object() failed"}})");
}

}  // namespace
}  // namespace sluice::serve
