#include "telemetry/events/event_filter.h"

#include <gtest/gtest.h>

namespace sluice::telemetry {
namespace {

SeenEvent denied() {
  SeenEvent event;
  event.type = "deny";
  event.flow = "00c0ffee00c0ffee";
  event.proto = "tcp";
  event.name = "api.example.org";
  event.address = "192.0.2.7";
  event.port = 443;
  event.reason = "name-unlisted";
  return event;
}

bool wants(std::string_view text, const SeenEvent& event) {
  const auto filter = EventFilter::parse(text);
  EXPECT_TRUE(filter.has_value()) << text << ": " << filter.error();
  return filter && filter->wants(event);
}

TEST(EventFilter, PatternsOfNames) {
  EXPECT_TRUE(name_matches("Example.ORG.", "example.org"));
  EXPECT_FALSE(name_matches("example.org", "www.example.org"));
  EXPECT_TRUE(name_matches("*.example.org", "a.b.Example.org"));
  EXPECT_FALSE(name_matches("*.example.org", "example.org"));
  EXPECT_FALSE(name_matches("*.example.org", "badexample.org"));
  EXPECT_TRUE(name_matches(".example.org", "example.org"));
  EXPECT_TRUE(name_matches(".example.org", "www.example.org"));
  EXPECT_FALSE(name_matches(".example.org", "badexample.org"));
  EXPECT_TRUE(name_matches("api-*.example.org", "api-7.example.org"));
  EXPECT_FALSE(name_matches("api-*.example.org", "api-7.x.example.org"));
  EXPECT_FALSE(name_matches("api-*-x.example.org", "api-x.example.org"));
  EXPECT_TRUE(name_matches("*", "example.org"));
  EXPECT_FALSE(name_matches("*", ""));
}

TEST(EventFilter, OfOneKindAnyMayHoldAndOfDifferentKindsAllMust) {
  const SeenEvent event = denied();
  EXPECT_TRUE(wants("", event));
  EXPECT_TRUE(wants("denied", event));
  EXPECT_TRUE(wants("port=80 port=443", event));
  EXPECT_TRUE(wants("port=22,400-500 name=*.example.org proto=tcp proto=udp", event));
  EXPECT_FALSE(wants("port=443 proto=udp", event));
  EXPECT_FALSE(wants("name=example.org", event));
  EXPECT_TRUE(wants("peer=192.0.2.0/24 type=deny reason=name-unlisted", event));
  EXPECT_FALSE(wants("peer=2001:db8::/32", event));
  EXPECT_TRUE(wants("flow=00C0FFEE00c0ffee", event));
  SeenEvent closed = event;
  closed.type = "close";
  EXPECT_FALSE(wants("denied", closed));
}

TEST(EventFilter, AQuestionHasANameAndNoPort) {
  SeenEvent query;
  query.type = "dns";
  query.name = "a.example.org";
  query.result = "refused";
  EXPECT_TRUE(wants("name=*.example.org denied type=dns", query));
  EXPECT_FALSE(wants("port=53", query));
  query.result = "answered";
  EXPECT_FALSE(wants("denied", query));
  query.result = "would-refuse";
  EXPECT_TRUE(wants("denied", query));
}

TEST(EventFilter, WhatIsLostIsAlwaysWanted) {
  SeenEvent lost;
  lost.type = "lost";
  EXPECT_TRUE(wants("denied name=*.example.org", lost));
  SeenEvent end;
  end.type = "end";
  EXPECT_TRUE(wants("", end));
  EXPECT_FALSE(wants("name=*", end));
}

TEST(EventFilter, MistakesAreSentences) {
  const auto error_of = [](std::string_view text) {
    const auto filter = EventFilter::parse(text);
    return filter ? "none" : filter.error();
  };
  EXPECT_EQ(error_of("proto=sctp"), "'sctp' is not a protocol; expected tcp, udp or icmp");
  EXPECT_EQ(error_of("port=x"), "'x' is not a list of ports; expected 80, 80-90 or 22,80-90");
  EXPECT_EQ(error_of("port="), "'' is not a list of ports; expected 80, 80-90 or 22,80-90");
  EXPECT_EQ(error_of("peer=x"),
            "'x' is not an address; expected one as 192.0.2.7 or 2001:db8::/32");
  EXPECT_EQ(error_of("name=a.*.b"),
            "'a.*.b' is not a pattern of names; expected one star, in the leftmost label");
  EXPECT_EQ(error_of("name="), "name is empty");
  EXPECT_EQ(error_of("name"), "'name' has no value; expected name=…");
  EXPECT_EQ(error_of("who=me"),
            "'who' is not known; expected denied, type, name, proto, port, peer, reason or flow");
  EXPECT_TRUE(error_of("type=x").starts_with("'x' is not a type of event; expected start, open"));
}

}  // namespace
}  // namespace sluice::telemetry
