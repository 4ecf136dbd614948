// TCP payload both ways through a flow that relays: single frames, super-frames, and a mebibyte at
// a time, also to a guest that opens its window only a little.
#include <fmt/core.h>

#include "micro/guest_tcp.h"

namespace sluice::bench {
namespace {

constexpr std::uint32_t kMebibyte = 1024 * 1024;
constexpr std::uint32_t kWindowLarge = 0xffffU << GuestTcp::kWindowScale;

// An engine with one TCP flow that relays.
struct OneFlow {
  explicit OneFlow(Family family, std::uint32_t window = kWindowLarge,
                   const wire::LinkFeatures& link = kOffloads)
      : driver(link),
        offload(link.checksum ? kVouched : wire::VirtioNetHeader{}),
        guest(driver.network(), guest_endpoint(family, 40'000), remote_endpoint(family, 80), window,
              offload) {
    guest.establish(driver);
    require(driver.engine.flow_count() == 1, "one flow relays");
    handshake_frames = driver.carried.frames;
  }
  [[nodiscard]] std::uint64_t frames() const { return driver.carried.frames - handshake_frames; }

  EngineDriver driver;
  wire::VirtioNetHeader offload;
  GuestTcp guest;
  std::uint64_t handshake_frames = 0;
};

// The host has 64 bytes for the guest: they go out as one frame. The guest's ACKs are not counted.
class ReceiveOnePacket {
 public:
  static constexpr std::uint64_t kBatch = 64;
  static constexpr std::uint32_t kBytes = 64;

  explicit ReceiveOnePacket(Family family) : flow_(family) {}
  void restore() {
    check();
    flow_.driver.turn(flow_.guest.ack());
    require(flow_.driver.carried.discarded_bytes == done_ * kBytes, "the guest has all bytes");
  }
  void operator()() {
    flow_.driver.host_sends(flow_.guest.id, kBytes);
    flow_.guest.host_next += kBytes;
    ++done_;
  }
  void check() const {
    require(flow_.frames() == done_, "one frame each time");
    require(flow_.driver.carried.payload_bytes == done_ * kBytes, "64 bytes each time");
    flow_.driver.require_no_drops();
  }

 private:
  OneFlow flow_;
  std::uint64_t done_ = 0;
};

// A segment of the guest is written to the host and acknowledged.
class SegmentIn {
 public:
  SegmentIn(Family family, std::uint32_t bytes) : flow_(family), bytes_(bytes) {
    flow_.guest.set_data_size(flow_.driver.network(), bytes);
    if (bytes > 1448) {
      flow_.offload.gso_type = family == Family::kV4 ? wire::VirtioNetHeader::kGsoTcpV4
                                                     : wire::VirtioNetHeader::kGsoTcpV6;
      flow_.offload.gso_size = 1440;
    }
  }
  void operator()() {
    flow_.driver.turn(flow_.guest.data(), flow_.offload);
    ++done_;
  }
  void check() const {
    require(flow_.driver.carried.written_bytes == done_ * bytes_, "the host has every byte");
    require(flow_.frames() == done_, "each segment is acknowledged");
    flow_.driver.require_no_drops();
  }

 private:
  OneFlow flow_;
  std::uint32_t bytes_;
  std::uint64_t done_ = 0;
};

// Bytes of the host go out, and the guest acknowledges them.
class SegmentOut {
 public:
  SegmentOut(Family family, std::uint32_t bytes, const wire::LinkFeatures& link,
             std::uint32_t frames)
      : flow_(family, kWindowLarge, link), bytes_(bytes), frames_(frames) {}
  void operator()() {
    flow_.driver.host_sends(flow_.guest.id, bytes_);
    flow_.guest.host_next += bytes_;
    flow_.driver.turn(flow_.guest.ack(), flow_.offload);
    ++done_;
  }
  void check() const {
    require(flow_.driver.carried.discarded_bytes == done_ * bytes_, "the guest has every byte");
    require(flow_.frames() == done_ * frames_, "as many frames as the link needs");
    flow_.driver.require_no_drops();
  }

 private:
  OneFlow flow_;
  std::uint32_t bytes_;
  std::uint32_t frames_;
  std::uint64_t done_ = 0;
};

// A request of 64 bytes and its answer: the guest's next request acknowledges it.
class RequestResponse {
 public:
  static constexpr std::uint32_t kBytes = 64;

  explicit RequestResponse(Family family) : flow_(family) {
    flow_.guest.set_data_size(flow_.driver.network(), kBytes);
  }
  void operator()() {
    flow_.driver.turn(flow_.guest.data());
    flow_.driver.host_sends(flow_.guest.id, kBytes);
    flow_.guest.host_next += kBytes;
    ++done_;
  }
  void check() const {
    require(flow_.driver.carried.written_bytes == done_ * kBytes, "the host has every request");
    require(flow_.driver.carried.payload_bytes == done_ * kBytes, "the guest has every answer");
    flow_.driver.require_no_drops();
  }

 private:
  OneFlow flow_;
  std::uint64_t done_ = 0;
};

// A mebibyte from the host, with the guest's window as the only bound: it acknowledges what it got
// in each turn.
class BulkToGuest {
 public:
  static constexpr std::uint64_t kCounted = 8;

  explicit BulkToGuest(Family family, std::uint32_t window = kWindowLarge,
                       const wire::LinkFeatures& link = kOffloads)
      : flow_(family, window, link), window_(window) {}
  void operator()() {
    const std::uint64_t end = flow_.driver.carried.payload_bytes + kMebibyte;
    std::uint64_t seen = flow_.driver.carried.payload_bytes;
    flow_.driver.host_sends(flow_.guest.id, kMebibyte);
    for (std::uint64_t got = flow_.driver.carried.payload_bytes; got > seen;
         got = flow_.driver.carried.payload_bytes) {
      require(got - seen <= window_, "no more than the window in one turn");
      flow_.guest.host_next += static_cast<std::uint32_t>(got - seen);
      seen = got;
      flow_.driver.turn(flow_.guest.ack(), flow_.offload);
    }
    require(seen == end, "the whole mebibyte came out");
    ++done_;
  }
  void check() const {
    require(flow_.driver.carried.discarded_bytes == done_ * kMebibyte, "the guest has it all");
    flow_.driver.require_no_drops();
  }

 private:
  OneFlow flow_;
  std::uint32_t window_;
  std::uint64_t done_ = 0;
};

// A mebibyte from the guest in bursts of up to 128 frames of `frame` bytes.
class BulkFromGuest {
 public:
  static constexpr std::uint64_t kCounted = 8;
  static constexpr std::size_t kBurst = 128;

  BulkFromGuest(Family family, std::uint32_t frame, const wire::LinkFeatures& link)
      : flow_(family, kWindowLarge, link), frame_(frame) {
    // The frames of one burst lie side by side, as they do in the driver's buffer.
    for (std::size_t i = 0; i < std::min<std::size_t>(kBurst, kMebibyte / frame); ++i) {
      burst_.push_back(flow_.guest);
      burst_.back().set_data_size(flow_.driver.network(), frame);
    }
    // The SYN-ACK offers 64 KiB at most; the ACK of the first segment offers the whole window.
    flow_.guest.set_data_size(flow_.driver.network(), kFirst);
    flow_.driver.turn(flow_.guest.data(), flow_.offload);
  }
  void operator()() {
    for (std::uint32_t sent = 0; sent < kMebibyte;) {
      for (GuestTcp& segment : burst_) {
        segment.next = flow_.guest.next;
        flow_.driver.frame(segment.data(), flow_.offload);
        flow_.guest.next = segment.next;
        sent += frame_;
        if (sent >= kMebibyte) break;
      }
      flow_.driver.turn();
    }
    ++done_;
  }
  void check() const {
    const std::uint64_t rounded = (kMebibyte + frame_ - 1) / frame_ * std::uint64_t{frame_};
    require(flow_.driver.carried.written_bytes == kFirst + done_ * rounded,
            "the host has every byte");
    flow_.driver.require_no_drops();
  }

 private:
  static constexpr std::uint32_t kFirst = 100;

  OneFlow flow_;
  std::uint32_t frame_;
  std::vector<GuestTcp> burst_;
  std::uint64_t done_ = 0;
};

const Registrar registrar([] {
  for (const Family family : kFamilies) {
    const std::string_view v = name_of(family);
    add<ReceiveOnePacket>(fmt::format("tcp_rx_latency_one_packet/{}", v), family);
    add<SegmentIn>(fmt::format("tcp_data_frame_in/{}", v), family, 1400U);
    add<SegmentIn>(fmt::format("tcp_superframe_in/{}", v), family, 64'000U);
    add<SegmentOut>(fmt::format("tcp_data_frame_out/{}", v), family, 1400U, kOffloads, 1U);
    add<SegmentOut>(fmt::format("tcp_superframe_out/{}", v), family, 64'000U, kOffloads, 1U);
    // Without the offload our own cut makes segments of 1460 or 1440 bytes, checksums included.
    add<SegmentOut>(fmt::format("gso_segmentation/tcp_64000/{}", v), family, 64'000U, kNoOffloads,
                    family == Family::kV4 ? 44U : 45U);
    add<RequestResponse>(fmt::format("tcp_request_response/{}", v), family);
    add<BulkToGuest>(fmt::format("tcp_bulk_throughput_1mb/{}", v), family);
    for (const std::uint32_t window : {4096U, 16'384U, 65'536U}) {
      add<BulkToGuest>(fmt::format("tcp_bulk_throughput_constrained_window/{}/{}", window, v),
                       family, window);
    }
    add<BulkToGuest>(fmt::format("tcp_bulk_no_offload_1mb/{}", v), family, kWindowLarge,
                     kNoOffloads);
    add<BulkFromGuest>(fmt::format("tcp_bulk_from_guest_1mb/{}", v), family, 65'536U - 1024U,
                       kOffloads);
    add<BulkFromGuest>(fmt::format("tcp_bulk_from_guest_frames_1mb/{}", v), family, 1400U,
                       kOffloads);
  }
});

}  // namespace
}  // namespace sluice::bench
