// What http://sluice.internal/ tells the guest, through the whole engine.
#include "flow/engine/inside_pages.h"

#include <string>

#include "unit/flow/judge/names_fixture.h"

namespace sluice::flow::test {
namespace {

Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

class InsidePagesTest : public NamesFixture {
 protected:
  [[nodiscard]] std::string ours() const {
    return wire::to_string(v4() ? network().dns_v4 : network().dns_v6);
  }
  // As feed(), with what the engine carries out itself.
  void feed_through(const GuestSegment& segment) {
    frame(tcp_frame(network(), segment));
    engine().end_burst(BurstEnd::kDrained, {now, sink});
    pump();
    end_burst();
  }
  void pump() {
    auto& pending = sink.actions();
    for (std::size_t i = 0; i < pending.size(); ++i) {
      const Action action = pending[i];
      if (!engine().serve_own(action, {now, sink})) continue;
      collect_frames();
      ++served_;
    }
  }
  void open() {
    clear();
    guest_ = {guest_address(), {next_++}};
    feed_through({.guest = guest_,
                  .remote = {ip(ours()), {80}},
                  .sequence = wire::SeqNum{999},
                  .flags = wire::kSyn});
  }
  // The whole answer to these bytes.
  std::string get(std::string_view request) {
    open();
    if (frames.empty() || !frames.back().tcp().flags().syn()) return "refused";
    const wire::SeqNum host_next = frames.back().tcp().sequence() + 1;
    clear();
    feed_through({.guest = guest_,
                  .remote = {ip(ours()), {80}},
                  .sequence = wire::SeqNum{1000},
                  .acknowledgment = host_next,
                  .payload = bytes_of(request)});
    std::string said;
    for (const Received& received : frames) {
      const ByteView payload = received.tcp().payload();
      said.append(payload.begin(), payload.end());
    }
    return said;
  }
  std::string page(std::string_view path) {
    return get("GET " + std::string(path) + " HTTP/1.1\r\nHost: sluice.internal\r\n\r\n");
  }

  int served_ = 0;

 private:
  wire::Endpoint guest_{};
  std::uint16_t next_ = 50'000;
};

TEST_P(InsidePagesTest, ItsNameIsOurAddress) {
  EXPECT_FALSE(ask("sluice.internal"));
  EXPECT_EQ(answers(reply()), 1u);
  with(kDeny, {{kAllow, "ok.test"}}, {.pages = false});
  EXPECT_EQ(refused("sluice.internal"), wire::DnsRcode::kNxDomain);
  EXPECT_EQ(get("GET / HTTP/1.1\r\n"), "refused");
}

TEST_P(InsidePagesTest, ARefusalHasANumberThatTellsWhy) {
  EXPECT_FALSE(ask("secret.evil.test"));
  EXPECT_EQ(why(reply()),
            "sluice: secret.evil.test: name not allowed (default), see "
            "http://sluice.internal/why/1");
  EXPECT_FALSE(ask("secret.evil.test"));
  const std::string told = page("/why/1");
  EXPECT_EQ(told.substr(0, 15), "HTTP/1.1 200 OK") << told;
  EXPECT_NE(told.find("secret.evil.test is not allowed\n"), std::string::npos) << told;
  EXPECT_NE(told.find("times: 2\n"), std::string::npos) << told;
  const std::string denials = page("/denials?last=1");
  EXPECT_NE(denials.find("\"what\":\"secret.evil.test\",\"reason\":\"name-unlisted\""),
            std::string::npos)
      << denials;
  EXPECT_NE(page("/policy").find("\"target\":\"ok.test:443\""), std::string::npos);
  EXPECT_EQ(page("/").substr(9, 3), "200");
}

TEST_P(InsidePagesTest, OddRequestsAreAnsweredWithErrors) {
  EXPECT_EQ(page("/why/7").substr(9, 3), "404");
  EXPECT_EQ(page("/why/").substr(9, 3), "404");
  EXPECT_EQ(page("/why/18446744073709551617").substr(9, 3), "404");
  EXPECT_EQ(page("/denials?last=x").substr(9, 3), "400");
  EXPECT_EQ(page("/../etc/passwd").substr(9, 3), "404");
  EXPECT_EQ(get("POST /policy HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").substr(9, 3),
            "405");
  EXPECT_EQ(get("GET  HTTP/1.1\r\nHost: x\r\n\r\n").substr(9, 3), "400");
  EXPECT_EQ(get("\x16\x03\x01\r\n\r\n").substr(9, 3), "400");
  EXPECT_EQ(get(std::string(InsidePages::kHeadMax, 'x')).substr(9, 3), "400");
  EXPECT_EQ(get("GET / HTTP/1.1\r\n"), "") << "it is not whole";
}

TEST_P(InsidePagesTest, WhoSaysNothingIsCutOffAndThereAreNotManyAtOnce) {
  for (std::size_t i = 0; i < InsidePages::kPagesMax; ++i) open();
  EXPECT_EQ(engine().flow_count(), InsidePages::kPagesMax);
  EXPECT_EQ(page("/"), "refused");
  clear();
  pass(10s);
  pump();
  collect();
  EXPECT_EQ(engine().flow_count(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Families, InsidePagesTest,
                         testing::Values(wire::IpFamily::kV4, wire::IpFamily::kV6),
                         [](const auto& one) {
                           return one.param == wire::IpFamily::kV4 ? "v4" : "v6";
                         });

}  // namespace
}  // namespace sluice::flow::test
