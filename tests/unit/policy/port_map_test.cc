#include "policy/port_map.h"

#include <gtest/gtest.h>

namespace sluice::policy {
namespace {

std::string round_trip(std::string_view text) {
  const auto map = parse_port_map(text);
  return map ? to_string(*map) : "error: " + map.error().expected;
}

TEST(PortMap, TakesAddressRangesAndProtocol) {
  EXPECT_EQ(round_trip("8080:80"), "8080:80");
  EXPECT_EQ(round_trip("8080:80/tcp"), "8080:80");
  EXPECT_EQ(round_trip("5353:53/udp"), "5353:53/udp");
  EXPECT_EQ(round_trip("127.0.0.1:8080:80"), "127.0.0.1:8080:80");
  EXPECT_EQ(round_trip("[::1]:5353:53/udp"), "[::1]:5353:53/udp");
  EXPECT_EQ(round_trip("[::]:1:65535"), "[::]:1:65535");
  EXPECT_EQ(round_trip("8000-8010:80-90"), "8000-8010:80-90");
  EXPECT_EQ(round_trip("1-65535:1-65535"), "1-65535:1-65535");
  EXPECT_EQ(round_trip("0:80"), "0:80");
  EXPECT_EQ(round_trip("[::1]:0:53/udp"), "[::1]:0:53/udp");
}

TEST(PortMap, KeepsWhatItRead) {
  const PortMap map = parse_port_map("10.0.0.1:8000-8010:80-90/udp").value();
  EXPECT_EQ(map.protocol, Protocol::kUdp);
  EXPECT_EQ(map.address, wire::parse_ip("10.0.0.1").value());
  EXPECT_EQ(map.host_first, wire::Port{8000});
  EXPECT_EQ(map.guest_first, wire::Port{80});
  EXPECT_EQ(map.count, 11);
}

TEST(PortMap, SaysWhatItExpected) {
  const std::string shape =
      "error: [ADDR:]HOST:GUEST[/tcp|/udp] as 8080:80, 127.0.0.1:8080:80 or [::1]:5353:53/udp";
  for (const char* text : {"", "80", ":80:90", "::1:80:90", "[::1:80:90", "[::1]80:90", "a:80:90",
                           "[10.0.0.1]:80:90", "localhost:80:90", "1:2:3:4"}) {
    EXPECT_EQ(round_trip(text), shape) << text;
  }
  const std::string ports =
      "error: ports from 1 to 65535, ranges as 8000-8010:80-90, or 0:80 for a free port";
  for (const char* text : {":", "80:", ":80", "0-1:80-81", "00:80", "80:0", "0:0", "65536:80",
                           "80:65536", "90-80:90-80", "80-:80", "-80:80", " 80:80", "80:http"}) {
    EXPECT_EQ(round_trip(text), ports) << text;
  }
  EXPECT_EQ(round_trip("80:80/sctp"), "error: /tcp or /udp behind the ports");
  EXPECT_EQ(round_trip("80:80/"), "error: /tcp or /udp behind the ports");
  EXPECT_EQ(round_trip("80-90:80-91"), "error: two port ranges of the same size");
  EXPECT_EQ(round_trip("0:80-81"), "error: two port ranges of the same size");
}

bool clash(std::string_view a, std::string_view b) {
  const PortMap x = parse_port_map(a).value();
  const PortMap y = parse_port_map(b).value();
  EXPECT_EQ(collide(x, y), collide(y, x));
  return collide(x, y);
}

TEST(PortMap, KnowsItsPortsOfTheGuest) {
  const PortMap map = parse_port_map("8000-8010:80-90").value();
  EXPECT_FALSE(map.has_guest_port(Protocol::kTcp, wire::Port{79}));
  EXPECT_TRUE(map.has_guest_port(Protocol::kTcp, wire::Port{80}));
  EXPECT_TRUE(map.has_guest_port(Protocol::kTcp, wire::Port{90}));
  EXPECT_FALSE(map.has_guest_port(Protocol::kTcp, wire::Port{91}));
  EXPECT_FALSE(map.has_guest_port(Protocol::kUdp, wire::Port{80}));
  EXPECT_FALSE(map.has_guest_port(Protocol::kTcp, wire::Port{8000}));
}

TEST(PortMap, KnowsWhenTwoWouldListenOnOnePort) {
  EXPECT_TRUE(clash("80:80", "80:81"));
  EXPECT_FALSE(clash("80:80", "81:80"));
  EXPECT_FALSE(clash("0:80", "0:80")) << "each gets one of its own";
  EXPECT_FALSE(clash("80:80", "80:80/udp"));
  EXPECT_TRUE(clash("80:80", "127.0.0.1:80:80"));
  EXPECT_TRUE(clash("0.0.0.0:80:80", "127.0.0.1:80:80"));
  EXPECT_FALSE(clash("[::]:80:80", "127.0.0.1:80:80"));
  EXPECT_FALSE(clash("10.0.0.1:80:80", "10.0.0.2:80:80"));
  EXPECT_TRUE(clash("80-90:80-90", "90-99:1-10"));
  EXPECT_FALSE(clash("80-90:80-90", "91-99:1-9"));
  EXPECT_TRUE(clash("1-65535:1-65535", "65535:1"));
}

}  // namespace
}  // namespace sluice::policy
