#include "telemetry/events/event_row.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

namespace sluice::telemetry {
namespace {

using namespace std::chrono_literals;

class EventRow : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
  }
  static SeenEvent closed() {
    SeenEvent event;
    event.time =
        SeenEvent::Time{std::chrono::sys_days{std::chrono::year{2026} / 3 / 1} + 12h + 373'456us};
    event.type = "close";
    event.run = "k3f9wa";
    event.flow = "00c0ffee00c0ffee";
    event.proto = "tcp";
    event.direction = "out";
    event.guest = "10.0.2.15";
    event.guest_port = 40'000;
    event.name = "example.org";
    event.address = "192.0.2.7";
    event.port = 443;
    event.reason = "accepted";
    event.decided_by = "policy";
    event.duration = 1'250ms;
    event.bytes_to_host = 120;
    event.bytes_to_guest = 5'300;
    event.path = "kernel";
    event.outcome = "closed";
    return event;
  }
};

TEST_F(EventRow, HasTheNameFirstAndTheAddressBehindIt) {
  EXPECT_EQ(event_row(closed(), Color::kOff),
            "12:00:00.373  close   example.org:443/tcp                   192.0.2.7  120 B out, 5.2 "
            "KiB in, 1.25 s, kernel\n");
  SeenEvent event = closed();
  event.type = "open";
  EXPECT_EQ(event_row(event, Color::kOff),
            "12:00:00.373  open    example.org:443/tcp                   192.0.2.7\n");
}

TEST_F(EventRow, ANarrowTerminalHasTheDetailsBelow) {
  EXPECT_EQ(event_row(closed(), Color::kOff, 80),
            "12:00:00.373  close   example.org:443/tcp\n"
            "                      192.0.2.7  120 B out, 5.2 KiB in, 1.25 s, kernel\n");
  EXPECT_EQ(event_row(closed(), Color::kOff, 200), event_row(closed(), Color::kOff));
  SeenEvent event = closed();
  event.type = "open";
  const std::string line = event_row(event, Color::kOff);
  EXPECT_EQ(event_row(event, Color::kOff, line.size() - 1), line);
  EXPECT_NE(event_row(event, Color::kOff, line.size() - 2), line);
}

TEST_F(EventRow, ALongWordLeavesTheDetailsWhereTheyAre) {
  SeenEvent event = closed();
  const std::size_t at = event_row(event, Color::kOff).find("192.0.2.7");
  event.type = "decision";
  event.question = 3;
  event.result = "approved";
  EXPECT_EQ(event_row(event, Color::kOff).find("192.0.2.7"), at);
}

TEST_F(EventRow, QuestionsFirstBytesAndPolicies) {
  SeenEvent query = closed();
  query.type = "dns";
  query.flow = query.address = "";
  query.query = "AAAA";
  query.result = "answered";
  query.source = "cache";
  query.rcode = "NOERROR";
  query.addresses = 2;
  EXPECT_EQ(event_row(query, Color::kOff),
            "12:00:00.373  dns     example.org AAAA                      2 addresses, cached\n");
  query.result = "refused";
  query.reason = "name-unlisted";
  query.rule = "default";
  EXPECT_EQ(event_row(query, Color::kOff),
            "12:00:00.373  dns     example.org AAAA                      name-unlisted, by policy "
            "(rule default)\n");
  SeenEvent gate = closed();
  gate.type = "gate";
  gate.kind = "tls";
  gate.result = "passed";
  EXPECT_EQ(event_row(gate, Color::kOff),
            "12:00:00.373  gate    example.org:443/tcp                   192.0.2.7  tls\n");
  SeenEvent policy = closed();
  policy.type = "policy";
  policy.flow = "";
  policy.change = "deny a.test";
  policy.fallback = "deny";
  policy.rules = 3;
  policy.generation = 2;
  EXPECT_EQ(event_row(policy, Color::kOff),
            "12:00:00.373  policy  deny a.test                           default deny, 3 rules, "
            "generation 2\n");
}

TEST_F(EventRow, ARefusalHasItsReason) {
  SeenEvent event = closed();
  event.type = "deny";
  event.name = "";
  event.address = "2001:db8::7";
  event.reason = "address-unlisted";
  EXPECT_EQ(event_row(event, Color::kOff),
            "12:00:00.373  deny    [2001:db8::7]:443/tcp                 address-unlisted, by "
            "policy\n");
  EXPECT_NE(event_row(event, Color::kOn).find("\x1b[31mdeny  \x1b[0m"), std::string::npos);
  event.flow = "";
  event.left_out = 81'000;
  EXPECT_EQ(event_row(event, Color::kOff),
            "12:00:00.373  deny    81000 more of the same                address-unlisted, by "
            "policy\n");
}

TEST_F(EventRow, OfAnInboundFlowTheGuestIsTheTarget) {
  SeenEvent event = closed();
  event.direction = "in";
  event.name = "";
  EXPECT_EQ(target_text(event), "10.0.2.15:40000/tcp < 192.0.2.7:443");
  event.proto = "icmp";
  event.port = event.guest_port = 0;
  event.direction = "out";
  EXPECT_EQ(target_text(event), "192.0.2.7/icmp");
}

TEST_F(EventRow, OthersSayWhatTheyAre) {
  SeenEvent event = closed();
  event.flow = "";
  event.type = "lost";
  event.count = 5;
  EXPECT_EQ(event_row(event, Color::kOff),
            "12:00:00.373  lost    5 events, for which there was no room\n");
  event.type = "start";
  event.program = "sluice run";
  EXPECT_EQ(event_row(event, Color::kOff), "12:00:00.373  start   sluice run, run k3f9wa\n");
}

// The file may be anybody's, and a newer program's.
TEST_F(EventRow, NothingReachesATerminalRaw) {
  SeenEvent event = closed();
  const std::string wild = "\x1b[2J\xc2\x9b\n";
  for (std::string* const text : {&event.type, &event.name, &event.proto, &event.address,
                                  &event.path, &event.outcome, &event.reason, &event.decided_by}) {
    *text = wild;
  }
  std::string all = event_row(event, Color::kOff);
  for (const char* type : {"deny", "close", "revoke"}) {
    event.type = type;
    all += event_row(event, Color::kOff);
  }
  event.flow = "";
  event.run = event.program = wild;
  for (const char* type : {"start", "x"}) {
    event.type = type;
    all += event_row(event, Color::kOff);
  }
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 6);
  for (const char c : all) EXPECT_TRUE(c == '\n' || (c >= 0x20 && c < 0x7f));
  EXPECT_EQ(plain("a\\b\x01"), "a\\b\\001");
}

}  // namespace
}  // namespace sluice::telemetry
