// What clients of slirp4netns' API socket say, and what slirp4netns 1.2.0 makes of it.
#include "serve/slirp_api/slirp_request.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::serve {
namespace {

std::string add(const std::string& arguments) {
  return R"({"execute":"add_hostfwd","arguments":)" + arguments + "}";
}

// What is said to somebody who has said all; empty: it is a request.
std::string refusal(std::string_view bytes) {
  const auto request = read_slirp_request(bytes, SlirpInput::kEnded);
  if (!request) return "(nothing)";
  return *request ? "" : std::string(to_string(request->error()));
}

AddHostForward added(const std::string& arguments) {
  const auto request = read_slirp_request(add(arguments), SlirpInput::kOpen);
  if (!request || !*request || !std::holds_alternative<AddHostForward>(**request)) {
    ADD_FAILURE() << arguments;
    return {};
  }
  return std::get<AddHostForward>(**request);
}

int removed(std::string_view id) {
  const std::string text =
      R"({"execute":"remove_hostfwd","arguments":{"id":)" + std::string(id) + "}}";
  const auto request = read_slirp_request(text, SlirpInput::kOpen);
  if (!request || !*request) return -1;
  return std::get<RemoveHostForward>(**request).id;
}

TEST(SlirpRequest, AForwardHasEverythingThatWasSaid) {
  const AddHostForward all = added(R"({"proto":"udp","host_addr":"127.0.0.1","host_port":8080,)"
                                   R"("guest_addr":"10.0.2.100","guest_port":80})");
  EXPECT_EQ(all.protocol, policy::Protocol::kUdp);
  EXPECT_EQ(wire::to_string(all.host), "127.0.0.1");
  EXPECT_EQ(all.host_port.value, 8080);
  ASSERT_TRUE(all.guest.has_value());
  EXPECT_EQ(wire::to_string(*all.guest), "10.0.2.100");
  EXPECT_EQ(all.guest_port.value, 80);
}

TEST(SlirpRequest, AddressesThatAreMissingOrNoTextAreTheUsualOnes) {
  for (const char* const addresses :
       {"", R"("host_addr":"","guest_addr":"",)", R"("host_addr":5,"guest_addr":null,)"}) {
    const AddHostForward one =
        added(std::string("{") + addresses + R"("proto":"tcp","host_port":1,"guest_port":2})");
    EXPECT_EQ(wire::to_string(one.host), "0.0.0.0") << addresses;
    EXPECT_FALSE(one.guest.has_value()) << addresses;
  }
}

TEST(SlirpRequest, NumbersLoseWhatIsBehindThePoint) {
  const AddHostForward one = added(R"({"proto":"tcp","host_port":18090.9,"guest_port":1e3})");
  EXPECT_EQ(one.host_port.value, 18'090);
  EXPECT_EQ(one.guest_port.value, 1000);
  EXPECT_EQ(removed("2.7"), 2);
}

TEST(SlirpRequest, MistakesAreToldInTheirOrder) {
  EXPECT_EQ(refusal(add(R"({"proto":"x","host_addr":"x","host_port":0})")),
            "add_hostfwd: bad arguments.proto");
  EXPECT_EQ(refusal(add(R"({"proto":"tcp","host_addr":"x","host_port":0})")),
            "add_hostfwd: bad arguments.host_addr");
  EXPECT_EQ(refusal(add(R"({"proto":"tcp","host_port":0,"guest_addr":"x"})")),
            "add_hostfwd: bad arguments.host_port");
  EXPECT_EQ(refusal(add(R"({"proto":"tcp","host_port":5,"guest_addr":"x"})")),
            "add_hostfwd: bad arguments.guest_addr");
  EXPECT_EQ(refusal(add(R"({"proto":"tcp","host_port":5})")),
            "add_hostfwd: bad arguments.guest_port");
}

TEST(SlirpRequest, AddressesAreWholeAndOfIPv4) {
  for (const char* const address : {"foo", "::1", "1", "010.0.0.1", "1.2.3.4.5", " 1.2.3.4"}) {
    const std::string said = R"({"proto":"tcp","host_port":5,"guest_port":6,"host_addr":")";
    EXPECT_EQ(refusal(add(said + address + "\"}")), "add_hostfwd: bad arguments.host_addr")
        << address;
  }
}

// Each of them ends slirp4netns 1.2.0 by SIGSEGV.
TEST(SlirpRequest, WhatCrashesTheOtherIsABadProtocolHere) {
  for (const char* const arguments :
       {R"({"host_port":1,"guest_port":2})", R"({"proto":5,"host_port":1,"guest_port":2})",
        R"({"proto":null})", "[]", "5", "null"}) {
    EXPECT_EQ(refusal(add(arguments)), "add_hostfwd: bad arguments.proto") << arguments;
  }
  EXPECT_EQ(refusal(R"({"execute":"add_hostfwd"})"), "add_hostfwd: bad arguments.proto");
}

// slirp4netns opens 4464 of 70000.
TEST(SlirpRequest, PortsThatThereAreNotAreMistakes) {
  for (const char* const port : {"0", "-1", "65536", "70000", "0.5", "1e300", "\"80\"", "null"}) {
    const std::string text(port);
    EXPECT_EQ(refusal(add(R"({"proto":"tcp","guest_port":1,"host_port":)" + text + "}")),
              "add_hostfwd: bad arguments.host_port")
        << port;
    EXPECT_EQ(refusal(add(R"({"proto":"tcp","host_port":1,"guest_port":)" + text + "}")),
              "add_hostfwd: bad arguments.guest_port")
        << port;
  }
}

TEST(SlirpRequest, NumbersOfForwardsBeginAtOne) {
  EXPECT_EQ(removed("1"), 1);
  for (const char* const id : {"0", "-1", "0.9", "1e300", "\"1\"", "null", "{}"}) {
    EXPECT_EQ(removed(id), -1) << id;
  }
  EXPECT_EQ(refusal(R"({"execute":"remove_hostfwd"})"), "remove_hostfwd: bad arguments.id");
}

TEST(SlirpRequest, WhatIsNoRequestIsToldApart) {
  EXPECT_EQ(refusal("[]"), "json_object() failed");
  EXPECT_EQ(refusal("5"), "json_object() failed");
  EXPECT_EQ(refusal("null"), "json_object() failed");
  EXPECT_EQ(refusal("{}"), "no execute found");
  EXPECT_EQ(refusal(R"({"execute":5})"), "no execute found");
  EXPECT_EQ(refusal(R"({"arguments":{"execute":"list_hostfwd"}})"), "no execute found");
  EXPECT_EQ(refusal(R"({"execute":"LIST_HOSTFWD"})"), "unknown execute");
}

TEST(SlirpRequest, WhatIsNoJsonIsNone) {
  for (const std::string_view text :
       {std::string_view(""), std::string_view(" "), std::string_view("\n"), std::string_view("{"),
        std::string_view("garbage"), std::string_view(R"({"execute":"list_hostfwd")"),
        std::string_view(R"({"execute":"list_hostfwd",})"),
        std::string_view(R"({"execute":"list_hostfwd","execute":"list_hostfwd"})"),
        std::string_view(R"({"execute":"list_hostfwd","x":1e999})"),
        std::string_view(R"({"execute":"list_hostfwd","x":"\ud800"})"),
        std::string_view("\x00\x01\xff\xfe", 4)}) {
    EXPECT_EQ(refusal(text), "cannot parse JSON") << text;
  }
}

TEST(SlirpRequest, OneObjectIsReadAndWhatIsBehindItMeansNothing) {
  for (const std::string_view text :
       {std::string_view(R"({"execute":"list_hostfwd"} garbage)"),
        std::string_view(R"({"execute":"list_hostfwd"}{"execute":"nonsense"})"),
        std::string_view("{\"execute\":\"list_hostfwd\"}\0x", 28),
        std::string_view(R"({"execute":"list\u005fhostfwd\u0000x","arguments":7})"),
        std::string_view("\xef\xbb\xbf{\"execute\":\"list_hostfwd\",\"x\":\"\xff\"}")}) {
    EXPECT_EQ(refusal(text), "") << text;
  }
}

TEST(SlirpRequest, HalfOfOneIsWaitedForAndGarbageIsNot) {
  const std::string whole = add(R"({"proto":"tcp","host_port":8080,"guest_port":80})");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(
        read_slirp_request(std::string_view(whole).substr(0, size), SlirpInput::kOpen).has_value())
        << size;
    EXPECT_EQ(refusal(std::string_view(whole).substr(0, size)), "cannot parse JSON") << size;
  }
  EXPECT_TRUE(read_slirp_request(whole, SlirpInput::kOpen).has_value());
  EXPECT_TRUE(read_slirp_request("garbage", SlirpInput::kOpen).has_value());
  EXPECT_TRUE(read_slirp_request(std::string_view("{\0", 2), SlirpInput::kOpen).has_value());
}

TEST(SlirpRequest, OneOf4096BytesIsTooLong) {
  const auto of_size = [](std::size_t size) {
    std::string text = R"({"execute":"list_hostfwd","x":")";
    text.append(size - text.size() - 2, 'a');
    return text + "\"}";
  };
  EXPECT_EQ(refusal(of_size(4095)), "");
  EXPECT_EQ(refusal(of_size(4096)), "too large message");
  EXPECT_EQ(refusal(std::string(9000, '[')), "too large message");
}

TEST(SlirpRequest, NestingIsBoundedByTheSize) {
  const std::string head = R"({"execute":"list_hostfwd","x":)";
  EXPECT_EQ(refusal(head + std::string(1500, '[') + std::string(1500, ']') + "}"), "");
  EXPECT_EQ(refusal(head + std::string(4000, '[')), "cannot parse JSON");
}

}  // namespace
}  // namespace sluice::serve
