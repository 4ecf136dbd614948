// Whatever a guest sends, and wherever it is cut into pieces: it has the same effect as in one.
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <deque>
#include <string>

#include "base/prng.h"
#include "unit/flow/engine/cut_frame.h"
#include "unit/flow/engine/engine_fixture.h"

namespace sluice::flow::test {
namespace {

std::string text_of(ByteView bytes) { return {bytes.begin(), bytes.end()}; }

// One of two engines that see the same. It answers as a host would, and writes down all that comes
// of it.
class Side : public TcpFixture {
 public:
  void TestBody() override {}
  void begin(const AskOptions& ask, HandOverWhen hand_over) {
    engine().set_ask(ask);
    tcp().set_hand_over(hand_over);
  }
  TcpFlows& tcp_of() { return tcp(); }
  const GuestNetwork& network_of() const { return network(); }

  void whole(const Bytes& bytes, const wire::VirtioNetHeader& offload) {
    engine().on_frame(whole_.emplace_back(bytes), offload, {now, sink});
  }
  void pieces(const Bytes& bytes, std::size_t head, std::size_t piece,
              const wire::VirtioNetHeader& offload) {
    engine().on_frame(cut_.emplace_back(bytes, head, piece).as_it_came(offload), {now, sink});
  }
  // Ends the burst. Hosts take so many bytes of each write, and have so many to be read.
  void settle(std::uint64_t takes, std::size_t has, BurstEnd end) {
    engine().end_burst(end, {now, sink});
    carry_out(takes, has);
    engine().dns_actions().clear();
    whole_.clear();
    cut_.clear();
  }
  void carry_out(std::uint64_t takes, std::size_t has) {
    for (std::size_t at = 0; at < sink.actions().size(); ++at) {
      const Action action = sink.actions()[at];
      note(action);
      if (engine().serve_own(action, {now, sink})) continue;
      if (const auto* connect = std::get_if<ConnectTcp>(&action)) {
        id = connect->flow;
        tcp().on_connected(id, 64 * 1024, {now, sink});
      } else if (const auto* stash = std::get_if<StashTcp>(&action)) {
        tcp().on_stashed(stash->flow, stash->bytes.size(), stash->bytes.size());
      } else if (const auto* write = std::get_if<WriteTcp>(&action)) {
        const std::uint64_t size = write->until - write->offset;
        const auto taken = std::min(size, takes);
        tcp().on_written(write->flow, {taken, 0, 64 * 1024}, {now, sink});
      } else if (const auto* peek = std::get_if<PeekTcp>(&action)) {
        const Bytes bytes = stream(0, std::min<std::size_t>(has, peek->max));
        tcp().on_peeked(
            peek->flow,
            {peek->sequence, has == 0 ? PeekStatus::kWouldBlock : PeekStatus::kData, bytes, false},
            {now, sink});
        note_frames();
      } else if (const auto* ask = std::get_if<AskPolicy>(&action)) {
        if (ask->bytes.size() > 3000 || ask->stage == AskStage::kNewFlow) {
          engine().on_verdict(ask->flow, {.stage = ask->stage, .gate = Gate::kFirstBytes},
                              {now, sink});
        }
      }
    }
    sink.clear_actions();
    note_frames();
  }
  void host_has(std::size_t bytes) {
    tcp().on_readable(id, false, {now, sink});
    carry_out(1 << 20, bytes);
  }
  void answer_hand_over(bool works) {
    if (works) {
      tcp().on_handed_over(id, {now, sink});
    } else {
      tcp().on_hand_over_failed(id, {now, sink});
    }
    carry_out(1 << 20, 0);
  }
  void note_frames() {
    collect_frames();
    for (const Received& one : frames) seen.push_back("frame " + text_of(one.bytes));
    frames.clear();
  }
  void note(const Action& action) {
    std::string text = fmt::format("action {} ", action.index());
    if (const auto* write = std::get_if<WriteTcp>(&action)) {
      text += fmt::format("{} {} ", write->offset, write->until);
      for (std::uint32_t at = write->first_range; at != kNoRange; at = sink.range(at).next) {
        text += text_of(sink.range(at).bytes);
      }
    } else if (const auto* stash = std::get_if<StashTcp>(&action)) {
      text += fmt::format("{} ", stash->offset) + text_of(stash->bytes);
    } else if (const auto* divert = std::get_if<DivertTcp>(&action)) {
      text += text_of(divert->packet);
    } else if (const auto* ask = std::get_if<AskPolicy>(&action)) {
      text += text_of(ask->bytes);
    } else if (const auto* peek = std::get_if<PeekTcp>(&action)) {
      text += fmt::format("{} {} {}", peek->sequence.value, peek->offset, peek->max);
    } else if (const auto* discard = std::get_if<DiscardTcp>(&action)) {
      text += fmt::format("{}", discard->bytes);
    } else if (const auto* probe = std::get_if<ProbeTcp>(&action)) {
      text += fmt::format("{}", probe->idle.count());
    } else if (const auto* asked = std::get_if<HandOverTcp>(&action)) {
      text += fmt::format("{}", asked->snapshot.receive_next.value);
    } else if (const auto* report = std::get_if<ReportFlow>(&action)) {
      text += fmt::format("{} {}", report->summary.bytes_to_host, report->summary.bytes_to_guest);
    }
    seen.push_back(std::move(text));
  }
  [[nodiscard]] std::string state(const FlowKey& key) {
    std::string text;
    for (std::size_t i = 0; i < kDropReasonCount; ++i) {
      text += fmt::format("{} ", drops(static_cast<DropReason>(i)));
    }
    const TcpFlow* flow = tcp().find(key);
    if (flow == nullptr) return text + "none";
    text += fmt::format("{} {} {} {} {} {} ", flow->state.index(), flow->turns, flow->answered,
                        flow->bytes_to_host, flow->lull.count(), static_cast<int>(flow->hand_over));
    const auto* relaying = std::get_if<Relaying>(&flow->state);
    if (relaying == nullptr) return text;
    const auto& [rx, tx] = *relaying;
    return text + fmt::format("{} {} {} {} {} {} {}", rx.received.value, rx.acknowledged.value,
                              rx.window_edge.value, rx.stream_offset, rx.guest_finished, tx.window,
                              tx.acked.value);
  }
  void pass_time(Duration time) {
    now += time;
    engine().on_timers({now, sink});
    carry_out(0, 0);
  }

  TcpId id;
  std::vector<std::string> seen;

 private:
  std::deque<Bytes> whole_;
  std::deque<CutFrame> cut_;
};

class Pair {
 public:
  explicit Pair(std::uint64_t seed) : prng_(seed) {
    const bool v4 = below(4) != 0;
    guest_ = endpoint(v4 ? "10.0.2.15:40000" : "[fd00::2:15]:40000");
    remote_ = endpoint(v4 ? "198.51.100.7:80" : "[2001:db8::7]:80");
    if (below(6) == 0)
      remote_ = {v4 ? a_.network_of().dns_v4 : a_.network_of().dns_v6, wire::Port{53}};
    if (!v4) guest_.address = a_.network_of().guest_v6;
    const AskOptions ask{.tcp = below(6) == 0,
                         .gate = below(6) == 0 ? Gate::kFirstBytes : Gate::kOpen};
    const auto hand_over = below(5) == 0 ? HandOverWhen::kAlways : HandOverWhen::kNever;
    a_.begin(ask, hand_over);
    b_.begin(ask, hand_over);
    both({.guest = guest_,
          .remote = remote_,
          .sequence = wire::SeqNum{999},
          .flags = wire::kSyn,
          .options = {.mss = 1460, .window_scale = 7, .sack_permitted = true}});
    settle(0);
  }

  void step() {
    switch (below(16)) {
      case 0: a_.pass_time(step_ * 7), b_.pass_time(step_ * 7); return compare();
      case 1: readable(); return;
      case 2: hand_over(); return;
      case 3:
      case 4:
      case 5: settle(below(3) == 0 ? below(4000) : 1 << 20); return;
      default: segment(); return;
    }
  }
  void finish() { settle(1 << 20); }

 private:
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(prng_.next() % bound); }

  // Near what the engine waits for, and mostly just that.
  void segment() {
    wire::SeqNum next{1000};
    wire::SeqNum ack{};
    if (const TcpFlow* flow = flow_of_a()) {
      if (const auto* state = std::get_if<SynAckSent>(&flow->state)) ack = state->our_isn + 1;
      const auto* gated = std::get_if<Gated>(&flow->state);
      const auto* relaying =
          gated != nullptr ? &gated->relaying : std::get_if<Relaying>(&flow->state);
      if (relaying != nullptr) {
        next = relaying->rx.received;
        ack = relaying->tx.sent;
      }
    }
    GuestSegment one{.guest = guest_, .remote = remote_, .sequence = next, .acknowledgment = ack};
    if (below(5) == 0) one.sequence = next + static_cast<std::uint32_t>(below(6000)) - 3000;
    if (below(12) == 0) one.acknowledgment = ack - static_cast<std::uint32_t>(below(5000));
    if (below(20) == 0) one.flags = {static_cast<std::uint8_t>(below(64))};
    if (below(25) == 0) one.flags = wire::kAck | wire::kFin;
    if (below(3) == 0) one.options.timestamps = wire::TcpTimestamps{1, 2};
    one.window = static_cast<std::uint16_t>(below(0x10000));
    one.payload = stream(next.value, below(8) == 0 ? 0 : below(9000));
    both(one);
  }
  void both(const GuestSegment& one) {
    Bytes bytes = tcp_frame(a_.network_of(), one);
    if (below(20) == 0) bytes.resize(bytes.size() + below(30));
    if (below(20) == 0) bytes[below(bytes.size())] ^= 0x10;
    const wire::VirtioNetHeader offload{.flags = below(5) == 0 ? std::uint8_t{0}
                                                               : wire::VirtioNetHeader::kDataValid};
    a_.whole(bytes, offload);
    // Mostly behind the headers.
    const std::size_t head =
        below(4) == 0 ? below(bytes.size() - 1) + 1 : std::min<std::size_t>(180, bytes.size() - 1);
    b_.pieces(bytes, head, below(3) == 0 ? below(200) + 1 : below(5000) + 200, offload);
  }
  void settle(std::uint64_t takes) {
    const std::size_t has = below(3) * 700;
    const BurstEnd end = below(2) == 0 ? BurstEnd::kDrained : BurstEnd::kMoreFollows;
    a_.settle(takes, has, end);
    b_.settle(takes, has, end);
    compare();
  }
  void readable() {
    settle(1 << 20);
    for (Side* side : {&a_, &b_}) {
      side->host_has(500);
    }
    compare();
  }
  // The answer to a HandOverTcp, asked for or not.
  void hand_over() {
    settle(1 << 20);
    const bool works = below(3) == 0;
    for (Side* side : {&a_, &b_}) {
      side->answer_hand_over(works);
    }
    compare();
  }
  [[nodiscard]] FlowKey key() const { return {guest_, remote_, wire::IpProtocol::kTcp}; }
  [[nodiscard]] const TcpFlow* flow_of_a() { return a_.tcp_of().find(key()); }
  void compare() {
    RC_ASSERT(a_.seen == b_.seen);
    RC_ASSERT(a_.state(key()) == b_.state(key()));
    a_.seen.clear();
    b_.seen.clear();
  }

  static constexpr Duration step_ = 10ms;
  Prng prng_;
  Side a_;
  Side b_;
  wire::Endpoint guest_;
  wire::Endpoint remote_;
};

RC_GTEST_PROP(PiecesProperty, CutsChangeNothing, (std::uint64_t seed)) {
  Pair pair(seed);
  for (int i = 0; i < 60; ++i) pair.step();
  pair.finish();
}

}  // namespace
}  // namespace sluice::flow::test
