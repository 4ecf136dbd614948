// The host sockets of TCP flows: carries out what the engine asks of them and tells it what came
// of it. One place for each flow, at the index of its id. Not thread-safe.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "base/stream_buffer.h"
#include "driver/io/descriptor_room.h"
#include "driver/io/event_tag.h"
#include "driver/io/held_back.h"
#include "driver/io/io_context.h"
#include "driver/io/late_resets.h"
#include "driver/io/settled.h"
#include "flow/core/action.h"
#include "flow/tcp/tcp_flows.h"
#include "host/tcp_socket.h"
#include "link/link.h"

namespace sluice::driver {

// What the flow layer calls a failure, from the host's errno.
[[nodiscard]] flow::HostError host_error(int error);

class TcpIo {
 public:
  // What all flows of a guest together may leave waiting for their host sockets, in bytes.
  static constexpr std::size_t kSpillMax = 64 * 1024 * 1024;
  // What a fresh socket is taken to have room for, until the kernel is asked: the least that a
  // connected one takes (tcp_wmem's default, grown by the initial congestion window). Asking would
  // cost every short connection a system call.
  static constexpr std::uint32_t kRoomAtFirst = 64 * 1024;

  // References are not owned. `spill_max` is this one's part of it.
  TcpIo(IoContext context, flow::TcpFlows& flows, std::size_t spill_max = kSpillMax);

  // Who may give up a descriptor for a connect. Not owned.
  void set_room(DescriptorRoom& room) { room_ = &room; }
  // From whose other side's memory bytes may be borrowed, and in which there may be room for what
  // is peeked. Not owned.
  void set_link(link::Link& link) { link_ = &link; }
  // A target on this machine has answered when it returns, and the guest's answer is in the sink.
  void connect(const flow::ConnectTcp& action, flow::Turn turn);
  // Makes the socket of the next connection, when there is time: it need not wait for it then.
  void prepare();
  void stash(const flow::StashTcp& action, flow::Turn turn);
  void write(const flow::WriteTcp& action, flow::Turn turn);
  // The bytes handed to the engine are valid until the next peek. Where the link gave room for
  // them, the frames that they become are what is written to it next.
  void peek(const flow::PeekTcp& action, FramesWritten written);
  void discard(const flow::DiscardTcp& action, flow::Turn turn);
  void shutdown(const flow::ShutdownTcp& action);
  void close(const flow::CloseTcp& action, Instant now);
  void probe(const flow::ProbeTcp& action, flow::ActionSink& out);

  // Takes over the client of a published port once the engine gave it a flow.
  // False where it cannot be watched: nobody would hear of it.
  [[nodiscard]] bool adopt(flow::TcpId id, host::TcpSocket socket);
  // errno with which the host's side of a flow has failed; 0: it has not.
  [[nodiscard]] int failure(flow::TcpId id) {
    const Connection* connection = find(id);
    return connection == nullptr ? 0 : connection->error;
  }
  // Of the host's side; zero: there is none, or none that has measured it.
  [[nodiscard]] Duration round_trip(flow::TcpId id) {
    const Connection* connection = find(id);
    return connection == nullptr ? Duration{} : connection->socket.round_trip();
  }
  // The socket of a flow that others carry from here on; invalid when there is none. It stays
  // watched: change what its events mean.
  [[nodiscard]] host::TcpSocket take(flow::TcpId id);
  void on_event(const EventTag& tag, std::uint32_t events, flow::Turn turn);

  // Connections that the guest has reset, whose hosts have not got all that came before.
  [[nodiscard]] bool has_late_resets() const { return !late_resets_.empty(); }
  [[nodiscard]] Instant next_wakeup() const {
    return std::min(late_resets_.next_wakeup(), held_back_.next_wakeup());
  }
  void on_time(flow::Turn turn);
  // The policy is another: what a limit holds back counts for those that its flow counts for now.
  void follow_limits(flow::Turn turn);

 private:
  static constexpr std::size_t kPeekMax = 256 * 1024;

  struct Connection {
    flow::TcpId id;
    host::TcpSocket socket;
    bool connected = false;
    bool failed = false;            // It takes nothing more.
    bool urgent = false;            // Urgent bytes may be in the queue.
    std::int32_t error = 0;         // With which it failed; 0: it has not, or for us alone.
    std::int32_t peek_offset = -1;  // As the kernel has it; -1: off.
    std::uint32_t peeked = 0;       // How much there was when it was looked at last.
    std::uint32_t keep_alive = 0;   // Seconds of silence before a probe; 0: as it came.
    std::uint32_t room = 0;         // What the kernel takes, as far as we know.
    std::uint32_t room_told = 0;    // The same as the kernel told it last.
    // Bytes [begin, end) of the stream wait here for the socket; beyond may be stashed ones.
    std::unique_ptr<StreamBuffer> spill;
    std::uint64_t spill_begin = 0;
    std::uint64_t spill_end = 0;
    policy::Lane* lane = nullptr;  // What the last write was to be claimed of; null: no limit.
    bool held_back = false;        // It is in held_back_.

    [[nodiscard]] std::uint32_t waiting() const {
      return static_cast<std::uint32_t>(spill_end - spill_begin);
    }
  };

  [[nodiscard]] Connection* find(flow::TcpId id);
  [[nodiscard]] Connection& place(flow::TcpId id);
  [[nodiscard]] StreamBuffer& spill_of(Connection& connection);
  void drop_spill(Connection& connection);
  void note_spill_free();
  [[nodiscard]] std::expected<void, sys::SysError> watch(const Connection& connection);
  [[nodiscard]] std::expected<host::TcpSocket, sys::SysError> socket_for(wire::IpFamily family);
  [[nodiscard]] std::expected<void, sys::SysError> start_connect(
      host::TcpSocket& socket, const wire::Endpoint& target) const;
  void on_established(Connection& connection, flow::Turn turn);
  static void set_room(Connection& connection, std::uint32_t room);
  [[nodiscard]] std::expected<std::size_t, sys::SysError> send_ranges(Connection& connection,
                                                                      const flow::WriteTcp& action,
                                                                      const flow::ActionSink& sink);
  void spill_ranges(Connection& connection, const flow::WriteTcp& action, std::size_t sent,
                    const flow::ActionSink& sink);
  [[nodiscard]] std::expected<void, sys::SysError> flush_spill(Connection& connection, Instant now);
  void fail(Connection& connection, int error, flow::Turn turn);
  void on_error(Connection& connection, int error, flow::Turn turn);
  void fail_write(const flow::WriteTcp& action, int error, flow::Turn turn);
  [[nodiscard]] bool borrowed_is_intact() const { return link_ == nullptr || link_->is_intact(); }
  void lose(Connection& connection, flow::Turn turn);
  void swallow(const flow::WriteTcp& action, flow::Turn turn);
  void update_room(Connection& connection);
  void flush_and_tell(Connection& connection, flow::Turn turn);
  void end_if_used_up(flow::TcpId id, flow::Turn turn);
  // tcp_io_peek.cc
  [[nodiscard]] std::expected<sys::ReadResult, sys::SysError> peek_parts(
      Connection& connection, std::uint32_t offset, std::span<const iovec> parts);
  [[nodiscard]] std::expected<sys::ReadResult, sys::SysError> peek_at(Connection& connection,
                                                                      std::uint32_t offset,
                                                                      std::size_t max);
  [[nodiscard]] std::expected<sys::ReadResult, sys::SysError> peek_into_room(Connection& connection,
                                                                             std::uint32_t offset,
                                                                             std::size_t max);

  sys::Kernel& kernel_;
  sys::EventLoop& loop_;
  flow::TcpFlows& flows_;
  const host::Outbound& outbound_;
  DescriptorRoom* room_ = nullptr;
  link::Link* link_ = nullptr;
  bool peek_offset_supported_;
  BlockPool pool_;
  std::array<host::TcpSocket, 2> prepared_;    // For IPv4 and IPv6.
  std::optional<wire::IpFamily> prepare_for_;  // The prepared one was taken.
  LateResets late_resets_;                     // Their spills are of the pool.
  HeldBack held_back_;
  std::deque<Connection> connections_;  // Stable places; grows, never shrinks.
  std::unique_ptr<std::uint8_t[]> peek_buffer_;
  std::vector<std::uint8_t> skipped_;  // Only without SO_PEEK_OFF.
};

}  // namespace sluice::driver
