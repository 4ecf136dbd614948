// The host sockets of UDP flows: batches out, batches in, and ICMP errors back to the guest.
// Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>

#include "base/burst_guess.h"
#include "driver/io/descriptor_room.h"
#include "driver/io/event_tag.h"
#include "driver/io/io_context.h"
#include "driver/io/settled.h"
#include "flow/core/action.h"
#include "flow/engine/engine.h"
#include "host/datagram_batch.h"
#include "host/datagram_rows.h"
#include "host/udp_socket.h"

namespace sluice::driver {

class UdpIo final : public DescriptorRoom {
 public:
  // References are not owned.
  UdpIo(IoContext context, flow::Engine& engine);

  void open(const flow::OpenUdp& action, flow::Turn turn);
  // Gathers; datagrams go out with flush() at the latest. Their bytes must live until then.
  void send(const flow::SendUdp& action, flow::Turn turn);
  void flush(flow::Turn turn);
  void close(const flow::CloseUdp& action);
  [[nodiscard]] bool make_room(flow::Turn turn) override;

  // A published port: `socket` is bound already.
  [[nodiscard]] std::expected<void, sys::SysError> adopt(flow::UdpId id, host::UdpSocket socket);
  // One of the guest's network, connected to a server there: whether that is gone it hears itself.
  [[nodiscard]] std::expected<void, sys::SysError> adopt_connected(flow::UdpId id,
                                                                   host::UdpSocket socket);
  // Reads one batch. The bytes handed to the engine are valid until the next batch.
  void on_event(const EventTag& tag, std::uint32_t events, Settled settled);

 private:
  static constexpr std::size_t kReceiveSlots = 16;

  struct Socket {
    flow::UdpId id;
    host::UdpSocket socket;
    BurstGuess guess{};  // The kernel, too, looks for another before it returns.
    bool connected = false;
  };

  [[nodiscard]] Socket* find(flow::UdpId id);
  [[nodiscard]] Socket& place(flow::UdpId id, host::UdpSocket socket);
  [[nodiscard]] std::expected<void, sys::SysError> watch(const Socket& socket);
  void report(const Socket& socket, const host::BatchResult& result, flow::Turn turn);
  void read_errors(Socket& socket, flow::Turn turn);

  sys::Kernel& kernel_;
  sys::EventLoop& loop_;
  flow::Engine& engine_;
  const host::Outbound& outbound_;
  std::deque<Socket> sockets_;
  host::DatagramScratch scratch_;

  flow::UdpId batch_socket_;  // Whose datagrams batch_ has.
  host::DatagramBatch batch_{scratch_};
  host::DatagramRows rows_{kReceiveSlots};
};

}  // namespace sluice::driver
