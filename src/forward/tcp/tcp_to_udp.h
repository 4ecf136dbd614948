// Rules that listen on TCP (or a UNIX socket) and lead to a UDP target: a connected UDP socket for
// each connection. Without framing, one read from the stream is one datagram and each datagram back
// is written to the stream (tcptoudp of oi); with Framing::kLength16 borders survive.
//
// A read takes at most what one datagram carries (65,507 bytes): of more, the rest is the next
// datagram, and nothing is lost. What the UDP socket has no room for is dropped and counted.
// Answers that the client does not take wait, up to one batch; then the UDP socket is not read, and
// the kernel drops what exceeds its buffer.
//
// A session ends when nothing went either way for timeouts.udp_session: a client's FIN says only
// that no more requests come, and answers still go out. Its RST ends the session at once. An ICMP
// error moves a session that had no answer yet to the next target; else, and when there is none,
// the client gets a RST.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/slab.h"
#include "base/timer_wheel.h"
#include "forward/datagram/datagram_framing.h"
#include "forward/datagram/datagram_queue.h"
#include "forward/session/event_tag.h"
#include "forward/session/live_rule.h"
#include "forward/session/session_accounting.h"
#include "forward/session/session_list.h"
#include "forward/session/worker_context.h"
#include "host/datagram_batch.h"
#include "host/datagram_rows.h"
#include "host/tcp_socket.h"
#include "host/udp_socket.h"

namespace sluice::forward {

// A client that was accepted and admitted, and is counted so.
struct AcceptedStream {
  host::TcpSocket socket;  // In no event loop yet.
  wire::Endpoint client;
  std::shared_ptr<LiveRule> rule;
  ClientAdmission::Ticket ticket;
  std::uint16_t listen_port = 0;
  std::uint16_t port_offset = 0;
  Instant accepted_at{};
  std::uint64_t number = 0;  // Names the session in this process.
};

class TcpToUdp {
 public:
  explicit TcpToUdp(WorkerContext& context);
  ~TcpToUdp();
  TcpToUdp(const TcpToUdp&) = delete;
  TcpToUdp& operator=(const TcpToUdp&) = delete;

  // `head`: bytes that were read already, behind a PROXY header. From here on the session is ours
  // to count as ended.
  void start(AcceptedStream stream, ByteView head);

  void on_event(EventTag tag, std::uint32_t events);  // kBridgeStream, kBridgeDatagram
  void on_timer(EventTag tag);
  [[nodiscard]] bool run_pending();

  [[nodiscard]] std::size_t sessions() const { return bridges_.size(); }
  void end_all();
  void publish_counters();
  // As session_list.h has them.
  [[nodiscard]] std::uint32_t list(SessionRange range, std::vector<SessionRecord>& out);
  // Resets the client. False: there is no such session.
  [[nodiscard]] bool kill(std::uint64_t number);

 private:
  static constexpr std::size_t kRows = 8;
  // A header and a payload for each datagram of a batch: IOV_MAX of Linux.
  static constexpr std::size_t kPartsMax = 2 * kRows * host::kMaxGsoSegments;

  struct Bridge {
    AcceptedStream client;
    host::UdpSocket socket;
    TimerNode timer;
    Attempt attempt;
    DatagramQueue to_client;  // Answers that the stream did not take.
    FrameReader frames;
    SessionBytes bytes;
    PublishedBytes published;
    Instant last_traffic{};
    int reset_by = 0;  // errno: the client is gone; what it had sent is still read.
    bool target_in_use = false;
    bool answered = false;
    bool client_ended = false;  // Its FIN was seen.
    bool pending = false;
  };

  [[nodiscard]] int connect(SlabHandle handle, Bridge& bridge,
                            std::optional<Destination> destination);
  [[nodiscard]] std::expected<void, sys::SysError> connect_once(SlabHandle handle, Bridge& bridge,
                                                                const Destination& destination);
  void on_stream_event(SlabHandle handle, std::uint32_t events);
  void client_reset(SlabHandle handle, int error);
  void read_stream(SlabHandle handle);
  void deliver(Bridge& bridge, ByteView bytes);
  void deliver_one(Bridge& bridge, ByteView datagram);
  void flush_batch(Bridge& bridge);

  void read_answers(SlabHandle handle);
  [[nodiscard]] std::expected<void, sys::SysError> write_answers(
      Bridge& bridge, std::span<const host::IncomingDatagram> slots);
  void gather(Bridge& bridge, const host::IncomingDatagram& slot);
  // False: the session has ended.
  [[nodiscard]] bool flush_queue(SlabHandle handle);
  void read_errors(SlabHandle handle);
  void mark_pending(SlabHandle handle, Bridge& bridge);

  void end(SlabHandle handle, SessionResult result, int error);
  void log(const Bridge& bridge, SessionResult result, int error);
  // Of one that lives.
  [[nodiscard]] SessionFacts facts_of(const Bridge& bridge) const;

  WorkerContext& context_;
  Slab<Bridge> bridges_;
  host::DatagramRows rows_;
  host::DatagramBatch batch_;
  std::vector<iovec> parts_;
  std::vector<std::array<std::uint8_t, kFrameHeader>> headers_;
  std::vector<SlabHandle> pending_;
};

}  // namespace sluice::forward
