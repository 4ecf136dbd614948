// What a guest sends on a connection whose first bytes, or requests, are judged, in segments that
// the input chooses: the host gets a beginning of it, and nothing that was not judged.
#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include "flow/engine/engine.h"
#include "require.h"
#include "unit/flow/engine/guest_frames.h"
#include "wire/byte_cursor.h"
#include "wire/first_bytes/client_hello.h"
#include "wire/first_bytes/http_requests.h"

using namespace sluice;

namespace {

using flow::test::Bytes;

// Names that begin with an "a" are allowed; what is opaque is.
[[nodiscard]] bool is_allowed(const wire::DomainName& name) {
  return !name.is_root() && (name.wire()[1] | 0x20) == 'a';
}

class Judge final : public flow::ClaimJudge {
 public:
  flow::Judged judge_claim(const flow::FlowKey& /*key*/, const flow::NamedBy& /*by*/,
                           const flow::Claim& claim, Instant /*now*/) override {
    const bool allowed = claim.kind == flow::Claim::Kind::kOpaque ||
                         (claim.name.has_value() && is_allowed(*claim.name));
    return {.verdict = allowed ? policy::Verdict::kAccepted : policy::Verdict::kHostMismatch};
  }
  flow::RefusalWords words_of(const flow::FlowKey& /*key*/,
                              const flow::Judged& /*judged*/) override {
    return {};
  }
};

// One connection of the guest's, whose host takes everything.
class Harness {
 public:
  Harness() : engine_({}, {}, now_) {
    engine_.set_ask({.gate = flow::Gate::kFirstBytes});
    engine_.set_claim_judge(&judge_);
    segment(wire::kSyn, {});
    end_burst();
    next_ += 1;
  }

  // A third of the segments end their burst; before some of them the host answers.
  void run(ByteView cuts, ByteView stream) {
    for (std::size_t i = 0; !stream.empty(); ++i) {
      const std::size_t cut = cuts.empty() ? 100 : std::size_t{cuts[i % cuts.size()]};
      if (cut == 0xff) answer();
      const ByteView piece = stream.first(std::min(stream.size(), cut + 1));
      stream = stream.subspan(piece.size());
      sent_.insert(sent_.end(), piece.begin(), piece.end());
      segment(wire::kAck, piece);
      next_ += static_cast<std::uint32_t>(piece.size());
      if (cut % 3 == 0) end_burst();
    }
    end_burst();
    segment(wire::kFin | wire::kAck, {});
    end_burst();
    check();
  }

 private:
  void segment(wire::TcpFlags flags, ByteView payload) {
    flow::test::GuestSegment segment{.guest = kGuest,
                                     .remote = kServer,
                                     .sequence = next_,
                                     .acknowledgment = host_next_,
                                     .flags = flags,
                                     .payload = {payload.begin(), payload.end()}};
    burst_.push_back(flow::test::tcp_frame(engine_.network(), segment));
    engine_.on_frame(burst_.back(), {}, {now_, sink_});
  }
  void end_burst() {
    engine_.end_burst(flow::BurstEnd::kDrained, {now_, sink_});
    settle();
    burst_.clear();
  }
  // The server says something.
  void answer() {
    end_burst();
    if (!flow_ || closed_) return;
    engine_.tcp().on_readable(*flow_, false, {now_, sink_});
    settle();
  }

  void settle() {
    for (std::size_t done = 0; done < sink_.actions().size(); ++done) {
      const flow::Action action = sink_.actions()[done];
      if (const auto* connect = std::get_if<flow::ConnectTcp>(&action)) {
        flow_ = connect->flow;
        engine_.tcp().on_connected(*flow_, 65'536, {now_, sink_});
      } else if (const auto* write = std::get_if<flow::WriteTcp>(&action)) {
        take(*write);
      } else if (const auto* peek = std::get_if<flow::PeekTcp>(&action)) {
        engine_.tcp().on_peeked(
            peek->flow, {peek->sequence, flow::PeekStatus::kData, kAnswer, false}, {now_, sink_});
        host_next_ = peek->sequence + static_cast<std::uint32_t>(kAnswer.size());
      } else if (std::holds_alternative<flow::CloseTcp>(action)) {
        closed_ = true;
      } else {
        require(!std::holds_alternative<flow::AskPolicy>(action), "nobody else is asked");
      }
    }
    for (const wire::FrameOut& frame : sink_.frames()) note_frame(sink_.frames().header(frame));
    sink_.frames().clear();
    sink_.clear_actions();
  }
  void take(const flow::WriteTcp& write) {
    require(!closed_, "nothing is written behind a close");
    require(write.offset == received_.size(), "what is written follows on what was");
    for (std::uint32_t at = write.first_range; at != flow::kNoRange; at = sink_.range(at).next) {
      const ByteView bytes = sink_.range(at).bytes;
      received_.insert(received_.end(), bytes.begin(), bytes.end());
    }
    require(received_.size() == write.until, "as many bytes are written as are told");
    engine_.tcp().on_written(write.flow, {write.until - write.offset, 0, 65'536}, {now_, sink_});
  }
  // The SYN-ACK has the number that our ACKs begin with.
  void note_frame(ByteView header) {
    if (header.size() < kHeaders) return;
    const auto segment = wire::TcpView::parse(header.subspan(kHeaders - 20));
    if (segment && segment->flags().syn()) {
      host_next_ = segment->sequence() + 1;
    }
  }

  void check() const {
    require(received_.size() <= sent_.size() &&
                std::equal(received_.begin(), received_.end(), sent_.begin()),
            "the host has a beginning of what the guest sent");
    if (received_.empty()) return;
    const wire::ClientHello hello = wire::read_client_hello(sent_);
    using Finding = wire::ClientHello::Finding;
    if (hello.finding != Finding::kNotTls) {
      require(hello.finding == Finding::kServerName && is_allowed(hello.server_name),
              "a hello that left names a server that is allowed");
      return;
    }
    if (wire::http_likeness(sent_) == wire::HttpLikeness::kRequest) check_requests();
  }
  // Up to an upgrade every request that the host has is one that is allowed.
  void check_requests() const {
    wire::HttpRequests requests;
    for (ByteView rest(received_); !rest.empty();) {
      const auto next = requests.next(rest);
      if (requests.listens()) return;
      require(next.step == wire::HttpRequests::Step::kHead ||
                  next.step == wire::HttpRequests::Step::kBody,
              "the host has no part of a head, and no fault");
      if (next.step == wire::HttpRequests::Step::kHead) {
        require(next.head.host.has_value() && is_allowed(*next.head.host),
                "the host has no request that is refused");
      }
      rest = rest.subspan(next.size);
    }
  }

  static constexpr std::size_t kHeaders = 54;  // Ethernet, IPv4, TCP.
  static inline const wire::Endpoint kGuest = flow::test::endpoint("10.0.2.15:40000");
  static inline const wire::Endpoint kServer = flow::test::endpoint("198.51.100.7:80");
  static inline const Bytes kAnswer = [] {
    constexpr std::string_view kText = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
    return Bytes(kText.begin(), kText.end());
  }();

  Instant now_{std::chrono::seconds{1000}};
  Judge judge_;
  flow::Engine engine_;
  flow::ActionSink sink_;
  std::deque<Bytes> burst_;
  wire::SeqNum next_{999};
  wire::SeqNum host_next_;
  std::optional<flow::TcpId> flow_;
  bool closed_ = false;
  Bytes sent_;
  Bytes received_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wire::ByteReader input({data, size});
  const ByteView cuts = input.take(std::min<std::size_t>(input.u8() % 32U, input.rest().size()));
  Harness().run(cuts, input.rest());
  return 0;
}
