#include "app/log/event_tuple.h"

#include <gtest/gtest.h>

namespace sluice::app {
namespace {

TEST(EventTuple, TheOneWhoCallsIsTheSource) {
  telemetry::SeenEvent event;
  event.flow = "00c0ffee00c0ffee";
  event.proto = "tcp";
  event.direction = "out";
  event.guest = "10.0.2.15";
  event.guest_port = 80;
  event.address = "192.0.2.9";
  event.port = 40'000;
  event.bytes_to_host = 1;
  event.bytes_to_guest = 2;
  EXPECT_EQ(flow_number_of(event), 0x00c0'ffee'00c0'ffeeU);
  const auto out = tuple_of(event).value();
  EXPECT_EQ(wire::to_string(out.flow.source), "10.0.2.15:80");
  EXPECT_EQ(out.bytes_by_source, 1U);
  event.direction = "in";
  const auto in = tuple_of(event).value();
  EXPECT_EQ(wire::to_string(in.flow.source), "192.0.2.9:40000");
  EXPECT_EQ(in.bytes_by_source, 2U);
  EXPECT_EQ(in.flow.protocol, 6);
}

TEST(EventTuple, ProtocolsAreThoseOfIp) {
  telemetry::SeenEvent event;
  event.flow = "x";
  event.guest = "fd00::15";
  event.address = "2001:db8::1";
  event.proto = "icmp";
  EXPECT_EQ(tuple_of(event)->flow.protocol, 58);
  event.proto = "udp";
  EXPECT_EQ(tuple_of(event)->flow.protocol, 17);
  EXPECT_EQ(flow_number_of(event), 0U);
  event.proto = "sctp";
  EXPECT_FALSE(tuple_of(event).has_value());
  event.flow = "";
  EXPECT_FALSE(tuple_of(event).has_value());
}

}  // namespace
}  // namespace sluice::app
