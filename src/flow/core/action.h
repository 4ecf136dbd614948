// What the engine asks of its driver. The engine never calls out: each event leaves actions and
// frames in an ActionSink, and the driver carries them out in order, reporting results as new
// events. Byte ranges are borrowed from the buffers of the event, so a driver that reuses a buffer
// carries out what refers to it first.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/slab.h"
#include "base/time.h"
#include "flow/core/ask.h"
#include "flow/core/flow_summary.h"
#include "policy/limits/meter.h"
#include "wire/address.h"
#include "wire/link/frame_batch.h"
#include "wire/seq_num.h"
#include "wire/transport/tcp_snapshot.h"

namespace sluice::flow {

struct TcpId : SlabHandle {};
struct UdpId : SlabHandle {};  // One host socket of a guest endpoint, or of a published port.
struct PingId : SlabHandle {};

// Starts a connect; answered by on_connected() or on_connect_failed().
struct ConnectTcp {
  TcpId flow;
  wire::Endpoint target;
  // To somebody who connects to the target in our place, as TcpFlows::way_of() says. The connection
  // stands once he has.
  bool by_way = false;
};
// Keeps bytes that arrived ahead of a gap, at an offset of the guest-to-host stream; answered by
// on_stashed().
struct StashTcp {
  TcpId flow;
  std::uint64_t offset = 0;
  ByteView bytes;
};
// Hands [offset, until) of the guest-to-host stream to the socket: first the chain of ranges that
// starts at `first_range`, then what was stashed. Answered by on_written().
struct WriteTcp {
  TcpId flow;
  std::uint64_t offset = 0;
  std::uint64_t until = 0;
  std::uint32_t first_range = 0;
  // Of a limit: what the socket is handed is claimed of it, and the rest waits as if the socket
  // were full. Null: there is none. Where nothing is left, on_used_up() says so.
  policy::Lane* lane = nullptr;
};
// Looks at up to `max` bytes of the socket's queue, `offset` bytes behind its head, without taking
// them. Answered by on_peeked() with the same sequence number.
struct PeekTcp {
  TcpId flow;
  wire::SeqNum sequence;
  std::uint32_t offset = 0;
  std::uint32_t max = 0;
};
// Takes bytes off the head of the socket's queue: the guest has them.
struct DiscardTcp {
  TcpId flow;
  std::uint32_t bytes = 0;
};
struct ShutdownTcp {
  TcpId flow;
};
struct CloseTcp {
  TcpId flow;
  bool reset = false;  // RST instead of FIN.
  // The guest's kernel knows the connection no more, after its FIN was passed on: what the host
  // still sends is to be refused.
  bool forgotten = false;
  // Of a reset: what the guest sent and the host has not got yet is not for it any more.
  bool at_once = false;
};
// The guest asks whether the other end is still there, after it heard nothing for this long;
// answered by on_probed().
struct ProbeTcp {
  TcpId flow;
  Duration idle{};
};
// Makes a kernel socket in the guest's namespace of our end of this connection, whose host socket
// has nothing in flight; answered by on_handed_over() or on_hand_over_failed(). In the snapshot
// "local" is the remote host and "peer" the guest.
struct HandOverTcp {
  TcpId flow;
  wire::TcpSnapshot snapshot;
};
// A packet of the guest's for a connection that is being handed over, or was: it waits with the
// driver for the answer, or goes to the socket in the guest's namespace.
struct DivertTcp {
  TcpId flow;
  ByteView packet;  // From the IP header on. The TCP checksum may be left to an offload.
};
// A connection that was handed over has ended, and its name may be used again.
struct ReleaseTcp {
  wire::Endpoint guest;
  wire::Endpoint remote;
};
// Connects a socket of the guest's network to a server at the guest's loopback; answered by
// on_guest_answered() or on_guest_refused().
struct CallGuest {
  TcpId flow;
  wire::Endpoint server;
};
// Joins the flow's two sockets, which both stand: the one of the guest's network that called, or
// was called, and the host's. Where that cannot be, on_socket_lost() says so.
struct JoinTcp {
  TcpId flow;
};
struct OpenUdp {
  UdpId socket;
  wire::IpFamily family{};
  bool at_loopback = false;  // For a program at the guest's loopback: writes to the host's alone.
};
// A socket of the guest's network that is connected to `server`, at its loopback; answered by
// UdpFlows::on_guest_opened() or on_guest_refused(). What the server says is received as of others.
struct OpenGuestUdp {
  UdpId socket;
  wire::Endpoint server;
};
struct SendUdp {
  UdpId socket;
  wire::Endpoint target;
  ByteView payload;
  std::uint16_t segment_size = 0;  // Not zero: payload is a batch of datagrams of this size.
  std::uint8_t hop_limit = 64;
  std::optional<wire::IpAddress> local;  // The host's address to send from.
};
struct CloseUdp {
  UdpId socket;
};
// What a host says to a program of the guest's that wrote to a listener of ours at its loopback:
// goes out by that, as on_loopback_datagrams() has named it.
struct AnswerGuest {
  std::uint32_t listener = 0;
  wire::Endpoint target;
  ByteView payload;
  std::uint16_t segment_size = 0;  // As of SendUdp.
};
struct OpenPing {
  PingId socket;
  wire::IpFamily family{};
};
// An echo request: `message` is the whole ICMP message.
struct SendPing {
  PingId socket;
  wire::IpAddress target;
  ByteView message;
  std::uint8_t hop_limit = 64;
};
struct ClosePing {
  PingId socket;
};
// Asks whoever decides about a flow; answered by Engine::on_verdict(), at any time. Asked again
// with more of the first bytes, until it is answered.
struct AskPolicy {
  FlowId flow;
  FlowKey key;
  NamedBy by{};  // The name that it goes by, and the rule that asks.
  AskStage stage{};
  ByteView bytes{};       // Of kFirstBytes: all that the guest has sent, from the first byte on.
  bool finished = false;  // ... and it will send no more.
};
// The flow of an open question has ended.
struct WithdrawAsk {
  FlowId flow;
};
// A flow that was let through goes to an address that stands for its name: asks where that leads.
// The engine's own to carry out (Engine::serve_own()); answered by on_found() of its protocol,
// once, unless the flow has ended.
struct FindTarget {
  FlowId flow;
  FlowKey key;
  NamedBy by{};
};
struct ReportFlow {
  FlowSummary summary;
};

using Action =
    std::variant<ConnectTcp, StashTcp, WriteTcp, PeekTcp, DiscardTcp, ShutdownTcp, CloseTcp,
                 ProbeTcp, HandOverTcp, DivertTcp, ReleaseTcp, CallGuest, JoinTcp, OpenUdp,
                 OpenGuestUdp, SendUdp, CloseUdp, AnswerGuest, OpenPing, SendPing, ClosePing,
                 AskPolicy, WithdrawAsk, FindTarget, ReportFlow>;

inline constexpr std::uint32_t kNoRange = 0xffff'ffff;

// A piece of a guest-to-host stream inside the current burst.
struct BurstRange {
  ByteView bytes;
  std::uint32_t next = kNoRange;
};

class ActionSink {
 public:
  ActionSink() {
    actions_.reserve(256);
    ranges_.reserve(256);
  }

  void push(const Action& action) { actions_.push_back(action); }

  // Whether flows that begin are told about. Off, until somebody wants it.
  void want_openings(bool wanted) { openings_ = wanted; }
  template <typename Flow>
  void tell_opening(Flow& flow) {
    if (!openings_) [[likely]]
      return;
    flow.told = true;
    push(ReportFlow{begun_flow(flow)});
  }

  // A frame for the guest, as FrameBatch::add().
  [[nodiscard]] MutableBytes add_frame(std::size_t header_length, ByteView payload,
                                       const wire::VirtioNetHeader& offload) {
    return frames_.add(header_length, payload, offload);
  }
  void shrink_frame(std::size_t header_length) { frames_.shrink(header_length); }

  // Where the next add_range() puts its bytes.
  [[nodiscard]] std::uint32_t next_range() const {
    return static_cast<std::uint32_t>(ranges_.size());
  }
  void add_range(ByteView bytes) { ranges_.push_back({bytes, kNoRange}); }
  void link_range(std::uint32_t previous, std::uint32_t next) { ranges_[previous].next = next; }

  [[nodiscard]] std::vector<Action>& actions() { return actions_; }
  [[nodiscard]] wire::FrameBatch& frames() { return frames_; }
  [[nodiscard]] const BurstRange& range(std::uint32_t at) const { return ranges_[at]; }

  void clear_actions() {
    actions_.clear();
    ranges_.clear();
  }

 private:
  std::vector<Action> actions_;
  std::vector<BurstRange> ranges_;
  wire::FrameBatch frames_;
  bool openings_ = false;
};

// What every event comes with: when it happens, and where that which follows from it is gathered.
struct Turn {
  Instant now;
  ActionSink& out;
};

}  // namespace sluice::flow
