// Clients of the host's loopback that write to published ports: where in the guest they are led.
#include <gtest/gtest.h>

#include "flow/udp/udp_flows.h"
#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {
namespace {

using policy::LoopbackUse;

class UdpCall : public EngineFixture {
 protected:
  UdpCall() { begin(LoopbackUse::kWhereRefused); }

  void begin(LoopbackUse when) {
    restart({});
    engine().udp().set_call_guest(when);
    port_ = engine().udp().publish(service_);
  }
  void write(const Bytes& bytes, const std::optional<wire::Endpoint>& from = {}) {
    engine().udp().on_received(port_, from.value_or(client_), std::nullopt, bytes, 0, {now, sink});
    collect();
  }
  // The guest's kernel on the datagram that it got last.
  void refuse_frame() {
    const wire::IpPacketView packet = frames.back().packet();
    Bytes quote(packet.packet.begin(), packet.packet.begin() + 28);
    Bytes message(wire::IcmpView::kHeaderSize);
    wire::IcmpRepr::unreachable(wire::IcmpUnreachable::kPort)
        .emit(MutableBytes(message).first<wire::IcmpView::kHeaderSize>(), quote);
    message.insert(message.end(), quote.begin(), quote.end());
    clear();
    feed(ip_frame(network(), network().guest_v4, packet.source, wire::IpProtocol::kIcmp, message));
  }
  UdpId asked_for(std::string_view server) {
    const auto asked = take<OpenGuestUdp>();
    EXPECT_EQ(asked.server, endpoint(server));
    clear();
    return asked.socket;
  }
  void opened(UdpId socket) {
    engine().udp().on_guest_opened(socket, {now, sink});
    collect();
  }
  void refused(UdpId socket) {
    engine().udp().on_guest_refused(socket, {now, sink});
    collect();
  }
  void answer(UdpId socket, std::string_view server, const Bytes& bytes) {
    engine().udp().on_received(socket, endpoint(server), std::nullopt, bytes, 0, {now, sink});
    collect();
  }
  // The client is led to the server at 127.0.0.1, which has answered.
  UdpId led() {
    write(question_);
    refuse_frame();
    const UdpId socket = asked_for("127.0.0.1:53");
    opened(socket);
    answer(socket, "127.0.0.1:53", answer_);
    clear();
    return socket;
  }

  const wire::Endpoint service_{network().guest_v4, wire::Port{53}};
  const wire::Endpoint client_ = endpoint("127.0.0.1:5000");
  const Bytes question_ = Bytes(100, 7);
  const Bytes answer_ = Bytes(300, 9);
  UdpId port_;
};

TEST_F(UdpCall, WhoIsRefusedAtTheAddressIsLedToTheLoopback) {
  sink.want_openings(true);
  write(question_);
  ASSERT_EQ(frames.size(), 1U);
  refuse_frame();
  const UdpId socket = asked_for("127.0.0.1:53");
  opened(socket);
  ASSERT_EQ(datagrams.size(), 1U);
  EXPECT_EQ(datagrams[0].action.socket, socket);
  EXPECT_EQ(datagrams[0].action.target, endpoint("127.0.0.1:53"));
  EXPECT_EQ(datagrams[0].bytes, question_) << "it was kept";
  clear();
  answer(socket, "127.0.0.1:53", answer_);
  ASSERT_EQ(datagrams.size(), 1U);
  EXPECT_EQ(datagrams[0].action.socket, port_);
  EXPECT_EQ(datagrams[0].action.target, client_);
  EXPECT_EQ(datagrams[0].bytes, answer_);
  EXPECT_TRUE(all<ReportFlow>().at(0).summary.opening);
  clear();
  write(question_);
  EXPECT_EQ(datagrams.at(0).action.socket, socket) << "the next goes there at once";
  EXPECT_TRUE(frames.empty());
  clear();
  pass(std::chrono::minutes(10));
  const FlowSummary summary = all<ReportFlow>().at(0).summary;
  EXPECT_TRUE(summary.by_loopback);
  EXPECT_TRUE(summary.inbound);
  EXPECT_EQ(summary.bytes_to_guest, 2 * question_.size());
  EXPECT_EQ(summary.bytes_to_host, answer_.size());
  EXPECT_EQ(take<CloseUdp>().socket, socket);
  EXPECT_EQ(engine().udp().socket_count(), 1U) << "the published one";
}

TEST_F(UdpCall, WhoAnswersAtTheAddressIsBelieved) {
  write(question_);
  const wire::Endpoint remote{frames.at(0).packet().source, frames.at(0).udp().source_port()};
  clear();
  feed(udp_frame(network(), service_, remote, answer_));
  EXPECT_EQ(datagrams.at(0).action.target, client_);
  clear();
  write(question_);
  EXPECT_EQ(frames.size(), 1U);
  EXPECT_TRUE(all<OpenGuestUdp>().empty());
}

TEST_F(UdpCall, TheOtherFamilyIsTheLast) {
  write(question_);
  refuse_frame();
  const UdpId first = asked_for("127.0.0.1:53");
  opened(first);
  refused(first);
  EXPECT_EQ(all<CloseUdp>().at(0).socket, first);
  const UdpId second = asked_for("[::1]:53");
  opened(second);
  EXPECT_EQ(datagrams.at(0).bytes, question_);
  clear();
  refused(second);
  EXPECT_TRUE(all<OpenGuestUdp>().empty());
  EXPECT_EQ(take<CloseUdp>().socket, second);
  // Its next one begins anew.
  clear();
  write(answer_);
  EXPECT_EQ(frames.size(), 1U);
  refuse_frame();
  opened(asked_for("127.0.0.1:53"));
  ASSERT_EQ(datagrams.size(), 1U);
  EXPECT_EQ(datagrams[0].bytes, answer_) << "the first is long gone";
}

// The guest's kernel tells few of them that nobody is at its address.
TEST_F(UdpCall, AServerThatIsBackIsThereForAllWhomItAnsweredBefore) {
  const wire::Endpoint other = endpoint("127.0.0.1:5001");
  const UdpId first = led();
  pass(LoopbackServers::kBelievedFor);
  clear();
  write(question_, other);
  refuse_frame();
  const UdpId second = asked_for("127.0.0.1:53");
  opened(second);
  answer(second, "127.0.0.1:53", answer_);
  for (const UdpId socket : {first, second}) {
    refused(socket);
    clear();
  }
  write(question_);
  write(question_, other);
  ASSERT_EQ(frames.size(), 2U);
  refuse_frame();
  const UdpId again = asked_for("127.0.0.1:53");
  opened(again);
  clear();
  answer(again, "127.0.0.1:53", answer_);
  const UdpId next = asked_for("127.0.0.1:53");
  opened(next);
  ASSERT_EQ(datagrams.size(), 1U);
  EXPECT_EQ(datagrams[0].bytes, question_) << "what the other one wrote was kept";
}

TEST_F(UdpCall, WhoWasRefusedAtTheLoopbackIsLedBackOnceSomebodyIsThere) {
  begin(LoopbackUse::kFirst);
  const wire::Endpoint other = endpoint("127.0.0.1:5001");
  write(question_, other);
  refused(asked_for("127.0.0.1:53"));
  refused(asked_for("[::1]:53"));
  EXPECT_EQ(frames.size(), 1U) << "the guest's address is the last place";
  clear();
  write(answer_);
  const UdpId socket = asked_for("127.0.0.1:53");
  opened(socket);
  clear();
  answer(socket, "127.0.0.1:53", answer_);
  const UdpId back = asked_for("127.0.0.1:53");
  opened(back);
  ASSERT_EQ(datagrams.size(), 1U);
  EXPECT_EQ(datagrams[0].bytes, question_);
}

TEST_F(UdpCall, TheLoopbackFirstWhereThatIsSaid) {
  begin(LoopbackUse::kFirst);
  write(question_);
  EXPECT_TRUE(frames.empty());
  const UdpId own = asked_for("127.0.0.1:53");
  write(answer_);
  EXPECT_TRUE(frames.empty());
  EXPECT_TRUE(datagrams.empty()) << "it waits for its socket";
  refused(own);
  const UdpId other = asked_for("[::1]:53");
  refused(other);
  ASSERT_EQ(frames.size(), 2U) << "by the link, all that was kept";
  EXPECT_EQ(Bytes(frames[0].udp().payload().begin(), frames[0].udp().payload().end()), question_);
  EXPECT_EQ(Bytes(frames[1].udp().payload().begin(), frames[1].udp().payload().end()), answer_);
}

TEST_F(UdpCall, NobodyElseAndNobodyWhereItIsNotWanted) {
  write(question_, endpoint("198.51.100.9:5000"));
  refuse_frame();
  EXPECT_TRUE(all<OpenGuestUdp>().empty());
  begin(LoopbackUse::kNever);
  write(question_);
  refuse_frame();
  EXPECT_TRUE(all<OpenGuestUdp>().empty());
  EXPECT_EQ(drops(DropReason::kIcmpIgnored), 1U);
}

TEST_F(UdpCall, ARefusalOfWhatIsNotThereIsIgnored) {
  write(question_);
  const Received sent = frames.back();
  led();
  frames.push_back(sent);
  refuse_frame();  // Once more; it is led elsewhere by now.
  EXPECT_TRUE(all<OpenGuestUdp>().empty());
  refused(UdpId{SlabHandle{77, 1}});
  opened(port_);
  refused(port_);
  EXPECT_TRUE(actions.empty());
}

TEST_F(UdpCall, AServerThatWasFoundIsAskedFirst) {
  led();
  write(question_, endpoint("127.0.0.1:5001"));
  EXPECT_TRUE(frames.empty());
  (void)asked_for("127.0.0.1:53");
}

TEST_F(UdpCall, OthersThatWaitAtTheAddressAreLedOnOnceAServerIsFound) {
  const wire::Endpoint silent = endpoint("127.0.0.1:5001");
  write(answer_, silent);
  clear();
  (void)led();
  write(question_, silent);
  EXPECT_TRUE(frames.empty()) << "it is led to the loopback by now";
}

TEST_F(UdpCall, OneThatWritesOnAtTheAddressIsLedOnWhereAServerIsKnown) {
  (void)led();
  const wire::Endpoint other = endpoint("127.0.0.1:5001");
  write(question_, other);
  (void)asked_for("127.0.0.1:53");
  pass(std::chrono::seconds(2));  // None is known any more.
  const wire::Endpoint third = endpoint("127.0.0.1:5002");
  write(question_, third);
  EXPECT_EQ(frames.size(), 1U);
}

TEST_F(UdpCall, AServerAtTheAddressThatComesIsHeardFromThereOn) {
  const UdpId socket = led();
  refused(socket);
  clear();
  write(question_);
  const wire::Endpoint remote{frames.at(0).packet().source, frames.at(0).udp().source_port()};
  clear();
  feed(udp_frame(network(), service_, remote, answer_));
  clear();
  write(question_);
  EXPECT_EQ(frames.size(), 1U);
  EXPECT_TRUE(all<AnswerGuest>().empty());
}

TEST_F(UdpCall, AServerThatHasGoneIsLookedForAnew) {
  const UdpId socket = led();
  refused(socket);
  EXPECT_EQ(take<CloseUdp>().socket, socket);
  clear();
  write(question_);
  EXPECT_EQ(frames.size(), 1U) << "at the address";
}

TEST_F(UdpCall, AServerAtTheAddressThatHasGoneToo) {
  write(question_);
  const wire::Endpoint remote{frames.at(0).packet().source, frames.at(0).udp().source_port()};
  feed(udp_frame(network(), service_, remote, answer_));
  clear();
  write(question_);
  refuse_frame();
  (void)asked_for("127.0.0.1:53");
}

TEST_F(UdpCall, AFlowThatEndsTakesItsSocketAlong) {
  write(question_);
  refuse_frame();
  const UdpId socket = asked_for("127.0.0.1:53");
  EXPECT_TRUE(engine().udp().calls_guest(socket));
  pass(std::chrono::minutes(1));
  EXPECT_EQ(take<CloseUdp>().socket, socket);
  EXPECT_FALSE(engine().udp().calls_guest(socket));
  opened(socket);
  EXPECT_TRUE(datagrams.empty());
}

TEST_F(UdpCall, AnErrorOfItsSocketIsARefusal) {
  write(question_);
  refuse_frame();
  const UdpId socket = asked_for("127.0.0.1:53");
  opened(socket);
  clear();
  engine().on_udp_error(socket, endpoint("127.0.0.1:53"), {.kind = IcmpErrorKind::kTimeExceeded},
                        {}, {now, sink});
  engine().on_udp_error(socket, endpoint("127.0.0.1:53"), {.kind = IcmpErrorKind::kPortUnreachable},
                        {}, {now, sink});
  collect();
  (void)asked_for("[::1]:53");
}

TEST_F(UdpCall, NothingIsLostWithoutAWordWhereNoMoreIsKept) {
  begin(LoopbackUse::kFirst);
  for (std::size_t i = 0; i < HeldDatagrams::kBatchesMax + 3; ++i) write(question_);
  EXPECT_EQ(drops(DropReason::kUdpHeldFull), 3U);
  opened(asked_for("127.0.0.1:53"));
  EXPECT_EQ(datagrams.size(), HeldDatagrams::kBatchesMax);
}

}  // namespace
}  // namespace sluice::flow::test
