// UDP both ways: single datagrams, rows of them (GSO), fragments and new flows.
#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include "flow/ip/fragmenter.h"
#include "micro/guest_frames.h"

namespace sluice::bench {
namespace {

constexpr std::size_t kPayload = 1200;

// A datagram of a flow that is known goes to its socket.
class DatagramIn {
 public:
  explicit DatagramIn(Family family)
      : frame_(datagram_frame(guest_endpoint(family, 5000), remote_endpoint(family, 9000),
                              flow::test::stream(0, kPayload))) {}
  void operator()() {
    driver_.turn(frame_);
    ++done_;
  }
  void check() const {
    require(driver_.carried.datagrams == done_, "each datagram is sent");
    require(driver_.carried.datagram_bytes == done_ * kPayload, "with all its bytes");
    require(driver_.engine.flow_count() == 1, "they are one flow");
    driver_.require_no_drops();
  }

 private:
  EngineDriver driver_;
  Bytes frame_;
  std::uint64_t done_ = 0;
};

// The first datagram of a flow: policy, limits, a socket.
class NewFlow {
 public:
  static constexpr std::uint64_t kBatch = 256;

  explicit NewFlow(Family family) {
    for (std::uint16_t i = 0; i < kBatch; ++i) {
      frames_.push_back(
          datagram_frame(guest_endpoint(family, static_cast<std::uint16_t>(10'000 + i)),
                         remote_endpoint(family, 9000), flow::test::stream(0, 64)));
    }
  }
  void restore() {
    check();
    driver_.pass(flow::UdpFlows::kUnanswered * 2);
    require(driver_.engine.flow_count() == 0, "each flow ends when nobody answers");
    opened_ = 0;
  }
  void operator()() {
    driver_.turn(frames_[opened_++]);
    ++done_;
  }
  void check() const {
    require(driver_.engine.flow_count() == opened_, "each datagram makes a flow");
    require(driver_.carried.sockets_opened == done_ && driver_.carried.datagrams == done_,
            "with a socket, to which it goes");
    driver_.require_no_drops();
  }

 private:
  EngineDriver driver_;
  std::vector<Bytes> frames_;
  std::size_t opened_ = 0;
  std::uint64_t done_ = 0;
};

// What came back from the host: one datagram, or a row of them of `segment` bytes each.
class Reply {
 public:
  Reply(Family family, std::size_t bytes, std::uint16_t segment, const wire::LinkFeatures& link,
        std::uint64_t frames)
      : driver_(link),
        remote_(remote_endpoint(family, 9000)),
        bytes_(flow::test::stream(0, bytes)),
        segment_(segment),
        frames_(frames) {
    driver_.turn(datagram_frame(guest_endpoint(family, 5000), remote_, flow::test::stream(0, 64)));
  }
  void operator()() {
    driver_.engine.udp().on_received(driver_.udp, remote_, std::nullopt, bytes_, segment_,
                                     {driver_.now, driver_.sink});
    driver_.settle();
    ++done_;
  }
  void check() const {
    require(driver_.carried.frames == done_ * frames_, "as many frames as the link needs");
    require(driver_.carried.frame_bytes >= done_ * bytes_.size(), "with all bytes");
    driver_.require_no_drops();
  }

 private:
  EngineDriver driver_;
  wire::Endpoint remote_;
  Bytes bytes_;
  std::uint16_t segment_;
  std::uint64_t frames_;
  std::uint64_t done_ = 0;
};

// A datagram of 4000 bytes that the guest's kernel cut in three.
class Reassembly {
 public:
  explicit Reassembly(Family family)
      : frames_(fragments(guest_endpoint(family, 5000), remote_endpoint(family, 9000),
                          flow::test::stream(0, kSize), 7)) {
    require(frames_.size() == 3, "three fragments");
  }
  void operator()() {
    for (const Bytes& frame : frames_) driver_.frame(frame, kFinished);
    driver_.turn();
    ++done_;
  }
  void check() const {
    require(driver_.carried.datagrams == done_, "each datagram is whole again");
    require(driver_.carried.datagram_bytes == done_ * kSize, "with all its bytes");
    driver_.require_no_drops();
  }

 private:
  static constexpr std::size_t kSize = 4000;

  EngineDriver driver_;
  std::vector<Bytes> frames_;
  std::uint64_t done_ = 0;
};

// The largest datagram cut for a link of 1500 bytes, alone.
class Fragments {
 public:
  explicit Fragments(Family family) : payload_(flow::test::stream(0, 65'000)) {
    const flow::GuestNetwork network;
    datagram_ = {.guest_mac = network.guest_mac,
                 .gateway_mac = network.gateway_mac,
                 .source = remote_endpoint(family, 1).address,
                 .destination = guest_endpoint(family, 1).address,
                 .protocol = wire::IpProtocol::kUdp,
                 .identification = 1,
                 .payload = payload_};
  }
  void operator()() {
    flow::Fragmenter cutter(datagram_, 1500);
    std::size_t count = 0;
    while (const std::size_t length = cutter.next(frame_)) {
      benchmark::DoNotOptimize(frame_[length - 1]);
      ++count;
    }
    require(count == 44 || count == 45, "44 or 45 fragments");
    require(cutter.done(), "the whole datagram is cut");
  }

 private:
  Bytes payload_;
  flow::OutgoingDatagram datagram_;
  std::array<std::uint8_t, 1514> frame_{};
};

const Registrar registrar([] {
  for (const Family family : kFamilies) {
    const std::string_view v = name_of(family);
    add<DatagramIn>(fmt::format("process_udp_frame/{}", v), family);
    add<NewFlow>(fmt::format("process_udp_new_flow/{}", v), family);
    add<Reply>(fmt::format("udp_reply/{}", v), family, kPayload, std::uint16_t{0}, kOffloads, 1UL);
    add<Reply>(fmt::format("udp_reply_no_offload/{}", v), family, kPayload, std::uint16_t{0},
               kNoOffloads, 1UL);
    add<Reply>(fmt::format("udp_reply_fragmented_8000/{}", v), family, std::size_t{8000},
               std::uint16_t{0}, kOffloads, 6UL);
    add<Reply>(fmt::format("gso_segmentation/udp_48000_offload/{}", v), family, std::size_t{48'000},
               std::uint16_t{kPayload}, kOffloads, 1UL);
    add<Reply>(fmt::format("gso_segmentation/udp_48000/{}", v), family, std::size_t{48'000},
               std::uint16_t{kPayload}, kNoOffloads, 40UL);
    add<Reassembly>(fmt::format("fragment_reassembly/{}", v), family);
    add<Fragments>(fmt::format("fragment_65000/{}", v), family);
  }
});

}  // namespace
}  // namespace sluice::bench
