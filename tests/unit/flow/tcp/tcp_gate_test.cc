// First bytes and requests that the engine judges itself: what leaves, when, and what the guest is
// told, over both families of addresses.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "unit/flow/engine/engine_fixture.h"
#include "unit/flow/gate/claims.h"
#include "unit/wire/first_bytes/client_hellos.h"
#include "wire/first_bytes/refusal_answers.h"

namespace sluice::flow::test {
namespace {

using wire::test::hello_to;

Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }
std::string get(const std::string& host) { return "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"; }

class TcpGate : public TcpFixture, public testing::WithParamInterface<bool> {
 protected:
  TcpGate() { listen(); }
  // The engine of a test, with its judge.
  void listen(EngineOptions options = {}) {
    restart(std::move(options));
    engine().set_ask({.gate = Gate::kFirstBytes});
    engine().set_claim_judge(&judge);
  }
  [[nodiscard]] static ConnectionOptions ends() {
    if (!GetParam()) return {};
    return {.guest = endpoint("[fd00::15]:40000"), .remote = endpoint("[2001:db8::7]:80")};
  }
  Connection open() { return establish(ends()); }

  static GuestSegment segment(const Connection& c, const Bytes& bytes) {
    GuestSegment segment = ack(c);
    segment.payload = bytes;
    return segment;
  }
  // The next bytes of the guest's.
  void say(Connection& c, const Bytes& bytes) {
    feed(segment(c, bytes));
    c.next += static_cast<std::uint32_t>(bytes.size());
    c.sent += bytes.size();
  }
  void say(Connection& c, std::string_view text) { say(c, bytes_of(text)); }
  // All that the host was given, which takes it.
  std::string host_gets(const Connection& c) {
    std::string all;
    while (!writes.empty()) {
      const Written write = writes.front();
      writes.erase(writes.begin());
      EXPECT_EQ(write.action.until - write.action.offset, write.bytes.size());
      EXPECT_EQ(write.action.offset, given_);
      given_ += write.bytes.size();
      all.append(write.bytes.begin(), write.bytes.end());
      host_takes(c, write.bytes.size());
    }
    return all;
  }
  // What the guest is told, in the order of its numbers; the rest of its frames is forgotten.
  std::string told() {
    std::string all;
    for (const Received& frame : frames) {
      const ByteView payload = frame.tcp().payload();
      all.append(payload.begin(), payload.end());
    }
    return all;
  }
  [[nodiscard]] std::vector<FlowSummary> reports() const {
    std::vector<FlowSummary> found;
    for (const ReportFlow& report : all<ReportFlow>()) found.push_back(report.summary);
    return found;
  }
  // The flow was refused: nothing left, the host is reset, the report says why.
  void expect_refused(policy::Verdict verdict) {
    EXPECT_TRUE(writes.empty());
    ASSERT_EQ(all<CloseTcp>().size(), 1U);
    EXPECT_TRUE(all<CloseTcp>()[0].reset);
    ASSERT_EQ(reports().size(), 1U);
    EXPECT_EQ(reports()[0].verdict, verdict);
    EXPECT_EQ(reports()[0].outcome, policy::Outcome::kNotAccepted);
    EXPECT_EQ(reports()[0].bytes_to_host, 0U);
    EXPECT_EQ(engine().limits().active(), 0U);
  }
  [[nodiscard]] bool was_reset() const {
    return !frames.empty() && frames.back().tcp().flags().rst();
  }
  [[nodiscard]] bool was_closed() const {
    return !frames.empty() && frames.back().tcp().flags().fin();
  }

  OneNameAllowed judge;

 private:
  std::uint64_t given_ = 0;  // To the host.
};

INSTANTIATE_TEST_SUITE_P(Families, TcpGate, testing::Bool(),
                         [](const auto& instance) { return instance.param ? "V6" : "V4"; });

TEST_P(TcpGate, AHelloToAnAllowedNameGoesOutInOneWrite) {
  Connection c = open();
  const Bytes hello = hello_to("ok.test");
  say(c, Bytes(hello.begin(), hello.begin() + 100));
  EXPECT_TRUE(writes.empty());
  say(c, Bytes(hello.begin() + 100, hello.end()));
  ASSERT_EQ(writes.size(), 1U);
  EXPECT_EQ(writes[0].bytes, hello);
  (void)host_gets(c);
  EXPECT_TRUE(std::holds_alternative<Relaying>(flow(c)->state));
  EXPECT_TRUE(all<AskPolicy>().empty());
  EXPECT_EQ(flow(c)->by.source, NameSource::kServerName);
}

TEST_P(TcpGate, AnotherServerNameIsToldByAnAlert) {
  Connection c = open();
  say(c, hello_to("evil.test"));
  expect_refused(policy::Verdict::kServerNameMismatch);
  EXPECT_EQ(bytes_of(told()), Bytes(wire::kTlsAccessDenied.begin(), wire::kTlsAccessDenied.end()));
  EXPECT_TRUE(was_closed());
  EXPECT_EQ(frames.back().tcp().acknowledgment(), c.next);
}

TEST_P(TcpGate, AHelloWithoutOneServerNameIsRefused) {
  using namespace wire::test;
  for (const Bytes& hello :
       {in_records(hello_message({key_share()})), hello_to("192.0.2.1"), hello_to(""),
        hello_to(std::string(300, 'a')),
        in_records(hello_message({server_name("ok.test"), server_name("evil.test")}))}) {
    Connection c = open();
    say(c, hello);
    expect_refused(policy::Verdict::kNoServerName);
    EXPECT_EQ(told().size(), 7U);
    listen();
  }
}

TEST_P(TcpGate, AHelloMayComeByteByByte) {
  Connection c = open();
  const Bytes hello = wire::test::in_records(
      wire::test::hello_message({wire::test::server_name("ok.test"), wire::test::key_share()}), 40);
  for (std::size_t i = 0; i + 1 < hello.size(); ++i) say(c, Bytes{hello[i]});
  EXPECT_TRUE(writes.empty());
  EXPECT_TRUE(judge.claims.empty());
  say(c, Bytes{hello.back()});
  EXPECT_EQ(bytes_of(host_gets(c)), hello);
}

TEST_P(TcpGate, AHelloThatStopsHalfWayEndsInTime) {
  Connection c = open();
  const Bytes hello = hello_to("ok.test");
  say(c, Bytes(hello.begin(), hello.begin() + 300));
  pass(9s);
  EXPECT_TRUE(writes.empty());
  pass(2s);
  EXPECT_TRUE(was_reset());
  EXPECT_EQ(drops(DropReason::kFirstBytesTimedOut), 1U);
}

TEST_P(TcpGate, WhatIsBeyondTheBoundIsRefused) {
  Connection c = open();
  const Bytes hello = wire::test::in_records(
      wire::test::hello_message({wire::test::server_name("ok.test"), {21, Bytes(20'000, 0)}}));
  say(c, Bytes(hello.begin(), hello.begin() + 1000));
  expect_refused(policy::Verdict::kNoServerName);
}

TEST_P(TcpGate, ThatAHelloMayBeEncryptedIsTheJudgesToWeigh) {
  Connection c = open();
  say(c, wire::test::in_records(wire::test::hello_message(
             {wire::test::encrypted_hello(), wire::test::server_name("ok.test")})));
  EXPECT_FALSE(host_gets(c).empty());
  ASSERT_EQ(judge.claims.size(), 1U);
  EXPECT_TRUE(judge.claims[0].encrypted_hello);
}

TEST_P(TcpGate, WhatIsNoTlsWhereItMustBeIsReset) {
  judge.opaque = policy::Verdict::kNotTls;
  Connection c = open();
  say(c, "SSH-2.0-x\r\n");
  expect_refused(policy::Verdict::kNotTls);
  EXPECT_TRUE(was_reset());
}

TEST_P(TcpGate, AServerMaySpeakFirstAndIsNotHeldUp) {
  Connection c = open();
  host_sends(c, bytes_of("SSH-2.0-server\r\n"));
  EXPECT_EQ(told(), "SSH-2.0-server\r\n");
  say(c, "SSH-2.0-client\r\n");
  EXPECT_EQ(host_gets(c), "SSH-2.0-client\r\n");
}

TEST_P(TcpGate, AnAnswerThatTheGuestDoesNotHaveYetIsNotCutByOurs) {
  Connection c = open();
  const wire::SeqNum before = c.host_next;
  host_sends(c, bytes_of("banner"));
  c.host_next = before;  // The guest has not seen it.
  say(c, hello_to("evil.test"));
  expect_refused(policy::Verdict::kServerNameMismatch);
  EXPECT_TRUE(was_reset());
}

TEST_P(TcpGate, DataOfTheSynNeverLeaves) {
  GuestSegment first = syn(ends());
  first.payload = bytes_of(get("evil.test"));
  feed(first);
  const auto wanted = take<ConnectTcp>();
  tcp().on_connected(wanted.flow, 64 * 1024, {now, sink});
  collect();
  EXPECT_TRUE(writes.empty());
  // Our SYN-ACK acknowledges none of it.
  EXPECT_EQ(frames.back().tcp().acknowledgment(), first.sequence + 1);
}

TEST_P(TcpGate, WhatIsFollowedByARstOrFinLeaksNothing) {
  for (const bool finished : {false, true}) {
    Connection c = open();
    frame(tcp_frame(network(), segment(c, bytes_of("GET / HTTP/1.1\r\nHost: ok"))));
    c.next += 24;
    frame(tcp_frame(network(), finished ? fin(c) : rst(c)));
    end_burst();
    EXPECT_TRUE(writes.empty());
    ASSERT_EQ(all<CloseTcp>().size(), 1U);
    EXPECT_TRUE(all<CloseTcp>()[0].reset);
    listen();
  }
}

TEST_P(TcpGate, AGuestThatClosesWithoutAWordIsPassedOn) {
  Connection c = open();
  feed(fin(c));
  EXPECT_EQ(all<ShutdownTcp>().size(), 1U);
}

TEST_P(TcpGate, AnotherHostIsToldByAPage) {
  Connection c = open();
  say(c, get("evil.test"));
  expect_refused(policy::Verdict::kHostMismatch);
  EXPECT_EQ(reports()[0].by.source, NameSource::kHost);
  EXPECT_TRUE(told().starts_with("HTTP/1.1 403 Forbidden\r\n"));
  EXPECT_NE(told().find("evil.test:80 is not allowed"), std::string::npos);
  EXPECT_TRUE(was_closed());
}

TEST_P(TcpGate, RequestsThatCouldBeReadInTwoWaysAreRefused) {
  for (const std::string& request :
       {std::string("GET / HTTP/1.1\r\nHost: ok.test\r\nHost: evil.test\r\n\r\n"),
        std::string("GET / HTTP/1.1\r\n\r\n"),
        std::string("GET http://evil.test/ HTTP/1.1\r\nHost: ok.test\r\n\r\n"),
        std::string("GET / HTTP/1.1\r\nHost: ok.test\r\n X: y\r\n\r\n"),
        std::string("POST / HTTP/1.1\r\nHost: ok.test\r\nContent-Length: 1\r\nTransfer-Encoding: "
                    "chunked\r\n\r\n"),
        std::string("CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n"),
        std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        std::string("GET / HTTP/1.1\r\nHost: ok.test\r\nConnection: Upgrade, "
                    "HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n")}) {
    Connection c = open();
    say(c, request);
    EXPECT_TRUE(writes.empty()) << request;
    EXPECT_TRUE(told().starts_with("HTTP/1.1 403 ")) << request;
    EXPECT_TRUE(judge.claims.empty()) << request;
    listen();
  }
}

TEST_P(TcpGate, TheSecondRequestIsJudgedLikeTheFirst) {
  Connection c = open();
  say(c, get("ok.test"));
  EXPECT_EQ(host_gets(c), get("ok.test"));
  host_sends(c, bytes_of("HTTP/1.1 200 OK\r\n\r\n"));
  clear();
  say(c, get("evil.test"));
  EXPECT_TRUE(writes.empty());
  EXPECT_TRUE(was_reset());
  ASSERT_EQ(reports().size(), 1U);
  EXPECT_EQ(reports()[0].verdict, policy::Verdict::kHostMismatch);
  EXPECT_EQ(reports()[0].bytes_to_host, get("ok.test").size());
}

TEST_P(TcpGate, AHeadOfALaterRequestIsHeldUntilItIsWhole) {
  Connection c = open();
  say(c, get("ok.test"));
  (void)host_gets(c);
  const std::string post = "POST / HTTP/1.1\r\nHost: ok.test\r\nContent-Length: 10\r\n\r\n01234";
  for (std::size_t i = 0; i < 20; ++i) {
    clear();
    say(c, post.substr(i, 1));
    EXPECT_TRUE(writes.empty());
    EXPECT_EQ(frames.back().tcp().acknowledgment(), c.next);  // The guest is told that we have it.
  }
  say(c, post.substr(20) + "56789" + get("ok.test").substr(0, 7));
  EXPECT_EQ(host_gets(c), post + "56789");
  say(c, get("ok.test").substr(7));
  EXPECT_EQ(host_gets(c), get("ok.test"));
  EXPECT_EQ(judge.claims.size(), 3U);
}

TEST_P(TcpGate, AHeldHeadEndsInTime) {
  Connection c = open();
  say(c, get("ok.test"));
  (void)host_gets(c);
  say(c, "GET / HTTP/1.1\r\nHost: ev");
  pass(11s);
  EXPECT_TRUE(was_reset());
  EXPECT_EQ(drops(DropReason::kFirstBytesTimedOut), 1U);
  EXPECT_TRUE(writes.empty());
}

TEST_P(TcpGate, AHeldHeadThatTheGuestGivesUpLeaksNothing) {
  for (const bool finished : {false, true}) {
    Connection c = open();
    say(c, get("ok.test"));
    writes.clear();
    host_takes(c, get("ok.test").size());
    say(c, "GET / HTTP/1.1\r\nHost: ev");
    feed(finished ? fin(c) : rst(c));
    EXPECT_TRUE(writes.empty());
    EXPECT_EQ(flow(c), nullptr);
    EXPECT_EQ(all<CloseTcp>().size(), 1U);
    listen();
  }
}

TEST_P(TcpGate, WhatStandsBeforeARstIsJudgedBeforeItLeaves) {
  Connection c = open();
  say(c, get("ok.test"));
  (void)host_gets(c);
  frame(tcp_frame(network(), segment(c, bytes_of(get("evil.test")))));
  c.next += static_cast<std::uint32_t>(get("evil.test").size());
  frame(tcp_frame(network(), rst(c)));
  end_burst();
  EXPECT_TRUE(writes.empty());
}

TEST_P(TcpGate, BodiesPassAsTheyLieInTheBurst) {
  Connection c = open();
  say(c, "POST / HTTP/1.1\r\nHost: ok.test\r\nContent-Length: 5000\r\n\r\n");
  (void)host_gets(c);
  for (int i = 0; i < 5; ++i) {
    feed(segment(c, Bytes(1000, 'x')));
    c.next += 1000;
    c.sent += 1000;
    ASSERT_EQ(writes.size(), 1U);
    EXPECT_EQ(host_gets(c), std::string(1000, 'x'));
  }
  say(c, get("evil.test"));
  EXPECT_TRUE(was_reset());
}

TEST_P(TcpGate, WhatIsJudgedHasNoGapsLaterEither) {
  Connection c = open();
  say(c, get("ok.test"));
  (void)host_gets(c);
  clear();
  Connection ahead = c;
  ahead.next += 10;
  feed(segment(ahead, bytes_of("evil")));
  EXPECT_TRUE(all<StashTcp>().empty());
  EXPECT_EQ(frames.back().tcp().acknowledgment(), c.next);
  say(c, get("ok.test"));
  EXPECT_EQ(host_gets(c), get("ok.test"));
}

TEST_P(TcpGate, AHostThatTakesOnlyAPartEndsTheFlow) {
  Connection c = open();
  say(c, get("ok.test"));
  (void)host_gets(c);
  say(c, get("ok.test"));
  host_takes(c, 3);
  EXPECT_TRUE(was_reset());
  EXPECT_EQ(flow(c), nullptr);
}

TEST_P(TcpGate, AWebSocketIsFreeOnceTheServerAgrees) {
  Connection c = open();
  const std::string upgrade =
      "GET /chat HTTP/1.1\r\nHost: ok.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  say(c, upgrade);
  EXPECT_EQ(host_gets(c), upgrade);
  say(c, "early");
  EXPECT_EQ(host_gets(c), "");  // Nothing is decided yet.
  host_sends(c, bytes_of("HTTP/1.1 101 Switching Protocols\r\n\r\n"));
  EXPECT_EQ(host_gets(c), "early");
  say(c, "\x81\x02hi\n\n");
  EXPECT_EQ(host_gets(c), "\x81\x02hi\n\n");
  EXPECT_EQ(flow(c)->watched, nullptr);
}

TEST_P(TcpGate, AnUpgradeThatTheServerIgnoresOpensNothing) {
  Connection c = open();
  const std::string upgrade =
      "GET / HTTP/1.1\r\nHost: ok.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  say(c, upgrade);
  (void)host_gets(c);
  host_sends(c, bytes_of("HTTP/1.1 200 OK\r\n\r\n"));
  say(c, get("evil.test"));
  EXPECT_TRUE(writes.empty());
  EXPECT_TRUE(was_reset());
}

TEST_P(TcpGate, OnlyWhatIsJudgedNoMoreIsHandedOver) {
  tcp().set_hand_over(HandOverWhen::kAlways);
  Connection c = open();
  EXPECT_TRUE(all<HandOverTcp>().empty());
  say(c, get("ok.test"));
  (void)host_gets(c);
  feed(ack(c));
  EXPECT_TRUE(all<HandOverTcp>().empty());
  listen();
  tcp().set_hand_over(HandOverWhen::kAlways);
  Connection tls = open();
  const Bytes hello = hello_to("ok.test");
  say(tls, hello);
  EXPECT_TRUE(all<HandOverTcp>().empty());
  host_takes(tls, hello.size());
  feed(ack(tls));
  EXPECT_EQ(all<HandOverTcp>().size(), 1U);
}

TEST_P(TcpGate, APolicyMayAskForTheFirstRequestOnly) {
  judge.every_request = false;
  Connection c = open();
  say(c, get("ok.test"));
  (void)host_gets(c);
  EXPECT_EQ(flow(c)->watched, nullptr);
}

TEST_P(TcpGate, WhatIsWatchedStaysSoWhenNewFlowsAreNot) {
  Connection c = open();
  say(c, get("ok.test"));
  (void)host_gets(c);
  engine().set_claim_judge(nullptr);
  say(c, get("evil.test"));
  EXPECT_TRUE(writes.empty());
  EXPECT_TRUE(was_reset());
}

TEST_P(TcpGate, TheGuestHearsTheRefusalAgainUntilItHasIt) {
  Connection c = open();
  say(c, hello_to("evil.test"));
  clear();
  pass(1100ms);
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(told().size(), 7U);
  EXPECT_TRUE(was_closed());
  // It has it, and closes.
  c.host_next += 8;
  clear();
  feed(fin(c));
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next + 1);
  pass(5s);
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(flow(c), nullptr);
  EXPECT_TRUE(reports().empty());  // It was told before.
}

TEST_P(TcpGate, AGuestThatNeverReadsTheRefusalIsForgotten) {
  Connection c = open();
  say(c, hello_to("evil.test"));
  clear();
  say(c, "more that nobody gets");
  EXPECT_EQ(take_frame().tcp().acknowledgment(), c.next);
  pass(120s);
  EXPECT_TRUE(was_reset());
  EXPECT_EQ(flow(c), nullptr);
  EXPECT_TRUE(writes.empty());
}

TEST_P(TcpGate, AGuestThatResetsIsGone) {
  Connection c = open();
  say(c, hello_to("evil.test"));
  feed(rst(c));
  EXPECT_EQ(flow(c), nullptr);
  EXPECT_EQ(engine().flow_count(), 0U);
}

TEST_P(TcpGate, ManyThatAreNeverWholeTakeBoundedMemory) {
  const Bytes hello = hello_to("ok.test");
  std::size_t kept = 0;
  for (std::uint16_t i = 0; i < 2000; ++i) {
    ConnectionOptions wanted = ends();
    wanted.guest.port.value = static_cast<std::uint16_t>(20'000 + i);
    Connection c = establish(wanted);
    say(c, Bytes(hello.begin(), hello.begin() + 200));
    if (flow(c) != nullptr) ++kept;
  }
  EXPECT_EQ(kept, KeptBytes::kFlowsMax);
  EXPECT_EQ(drops(DropReason::kFirstBytesFull), 2000 - kept);
}

}  // namespace
}  // namespace sluice::flow::test
