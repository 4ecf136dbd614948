// An engine with the benchmark in the place of its driver: the same calls in the same order as
// src/driver/worker.cc makes them, with counters where that makes system calls.
//
// Every limit is lifted, so that no arm measures a refusal. Time stands still unless pass() moves
// it. One thread.
#pragma once

#include <array>
#include <vector>

#include "flow/engine/engine.h"
#include "micro/harness.h"

namespace sluice::bench {

// What the link takes off our hands: what a tap does for `sluice run`, or nothing at all.
inline constexpr wire::LinkFeatures kOffloads{.checksum = true, .tso = true, .uso = true};
inline constexpr wire::LinkFeatures kNoOffloads{};

// What the guest's kernel says of a frame whose checksum the link would complete.
inline constexpr wire::VirtioNetHeader kVouched{.flags = wire::VirtioNetHeader::kNeedsCsum};

// What came out of the engine and was carried out.
struct Carried {
  std::uint64_t frames = 0;
  std::uint64_t frame_bytes = 0;    // Headers included.
  std::uint64_t payload_bytes = 0;  // Of those, borrowed from the host's buffers.
  std::uint64_t connects = 0;
  std::uint64_t written_bytes = 0;  // To TCP sockets of the host.
  std::uint64_t discarded_bytes = 0;
  std::uint64_t shutdowns = 0;
  std::uint64_t closes = 0;
  std::uint64_t stashes = 0;
  std::uint64_t sockets_opened = 0;  // UDP and ping.
  std::uint64_t datagrams = 0;
  std::uint64_t datagram_bytes = 0;
  std::uint64_t pings = 0;
  std::uint64_t reports = 0;
  std::uint64_t dns_queries = 0;
};

class EngineDriver {
 public:
  // What a host socket takes at any time.
  static constexpr std::uint32_t kRoom = 4 * 1024 * 1024;
  static constexpr std::size_t kHostBytesMax = 256 * 1024;

  explicit EngineDriver(const wire::LinkFeatures& link = kOffloads);

  // A frame of the guest; several make a burst.
  void frame(ByteView bytes, const wire::VirtioNetHeader& offload = kVouched) {
    engine.on_frame(bytes, offload, {now, sink});
  }
  // One turn of the worker: ends the burst, and does what is due.
  void turn();
  // A turn with a burst of one frame.
  void turn(ByteView bytes, const wire::VirtioNetHeader& offload = kVouched) {
    frame(bytes, offload);
    turn();
  }
  // Carries out all actions, as Worker::settle() does.
  void settle();
  void pass(Duration time);

  // The host's socket has this many more bytes for the flow.
  void host_sends(flow::TcpId id, std::uint32_t bytes);
  // The host's FIN.
  void host_ends(flow::TcpId id);

  // Nothing that the guest sent was dropped or refused.
  void require_no_drops() const;

  // The start of the newest frame: its headers, and what was not borrowed.
  [[nodiscard]] ByteView last_header() const { return ByteView(last_).first(last_size_); }
  [[nodiscard]] flow::TcpFlows& tcp() { return engine.tcp(); }
  [[nodiscard]] const flow::GuestNetwork& network() const { return engine.network(); }

  Instant now{std::chrono::seconds(1000)};
  flow::Engine engine;
  flow::ActionSink sink;
  Carried carried;
  flow::TcpId connecting;              // Of the newest ConnectTcp.
  flow::UdpId udp;                     // Of the newest SendUdp.
  flow::PingId ping;                   // Of the newest SendPing.
  dns::DnsSlot dns_slot;               // Of the newest DNS query to a resolver.
  std::vector<std::uint8_t> dns_sent;  // ... and its bytes.

 private:
  void write(const flow::WriteTcp& action);
  void peek(const flow::PeekTcp& action);
  void run_dns_actions();
  void write_frames();

  std::uint32_t queued_ = 0;  // Bytes at the host's socket. Only one flow has some at a time.
  bool ended_ = false;
  std::vector<std::uint8_t> host_bytes_;
  std::array<std::uint8_t, 512> last_{};
  std::size_t last_size_ = 0;
};

}  // namespace sluice::bench
