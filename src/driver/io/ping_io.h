// The ping sockets of ICMP flows. Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "base/burst_guess.h"
#include "driver/io/descriptor_room.h"
#include "driver/io/event_tag.h"
#include "driver/io/io_context.h"
#include "flow/core/action.h"
#include "flow/engine/engine.h"
#include "host/ping_socket.h"

namespace sluice::driver {

class PingIo {
 public:
  // References are not owned.
  PingIo(IoContext context, flow::Engine& engine, DescriptorRoom& room)
      : kernel_(context.kernel),
        loop_(context.loop),
        engine_(engine),
        room_(room),
        outbound_(context.outbound) {}

  void open(const flow::OpenPing& action, flow::Turn turn);
  void send(const flow::SendPing& action, flow::Turn turn);
  void close(const flow::ClosePing& action);
  void on_event(const EventTag& tag, std::uint32_t events, flow::Turn turn);

 private:
  static constexpr std::size_t kMessageMax = 65'536;
  static constexpr std::size_t kRepliesPerTurn = 16;
  // Who was late so often is not on this machine.
  static constexpr unsigned kLateMost = 2;

  struct Socket {
    flow::PingId id;
    host::PingSocket socket;
    BurstGuess guess{};
    unsigned late = 0;  // Requests in a row whose answer was not there at once.
  };

  [[nodiscard]] Socket* find(flow::PingId id);
  [[nodiscard]] bool read_reply(Socket& socket, flow::Turn turn);
  void read_errors(Socket& socket, flow::Turn turn);

  sys::Kernel& kernel_;
  sys::EventLoop& loop_;
  flow::Engine& engine_;
  DescriptorRoom& room_;
  const host::Outbound& outbound_;
  std::deque<Socket> sockets_;
  std::unique_ptr<std::uint8_t[]> buffer_;  // Taken with the first socket.
  bool told_forbidden_ = false;
};

}  // namespace sluice::driver
