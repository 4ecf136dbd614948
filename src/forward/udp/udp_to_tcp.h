// The stream of a UDP client whose rule leads to a TCP (or UNIX) target: exactly one for each
// client endpoint, for as long as its session lasts.
//
// Datagrams go into it as they are, or framed. What it does not take at once waits in a bounded
// queue, whole datagrams only; while it connects, too. Beyond the bound datagrams are lost, as on
// any full link. Bytes from it become datagrams whenever they come. Not thread-safe.
#pragma once

#include <sys/epoll.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>

#include "base/bytes.h"
#include "forward/datagram/datagram_framing.h"
#include "forward/datagram/datagram_queue.h"
#include "forward/plan.h"
#include "forward/session/connect_race.h"
#include "host/tcp_socket.h"
#include "sys/sys_error.h"

namespace sluice::forward {

class UdpStream {
 public:
  // Two of the largest datagrams, framed.
  static constexpr std::size_t kQueueMax = 128 * 1024;
  // What one read makes into one datagram at most; framed streams are read in larger pieces.
  static constexpr std::size_t kReadMax = kDatagramMax;

  // Not changed while it lasts.
  static constexpr std::uint32_t kEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

  explicit UdpStream(Framing framing) : framing_(framing) {}

  // While it connects to several addresses of its target.
  std::unique_ptr<Race> race;

  // Another connection; what waits goes there.
  void attach(host::TcpSocket socket) { socket_ = std::move(socket); }
  [[nodiscard]] host::TcpSocket& socket() { return socket_; }
  [[nodiscard]] Framing framing() const { return framing_; }

  // Puts a datagram into the queue. False: no room.
  [[nodiscard]] bool push(ByteView datagram);
  // Writes what waits, as far as the stream takes it. Returns how many bytes that was, framing
  // included.
  [[nodiscard]] std::expected<std::size_t, sys::SysError> flush();
  // It takes nothing more: a write failed, or the target has reset. Reading what came before goes
  // on.
  void broke(int error) { error_ = error; }
  [[nodiscard]] int error() const { return error_; }  // errno, or 0.
  // Datagrams of which a part at least may still wait.
  [[nodiscard]] std::uint64_t waiting() const { return waiting_; }

  // Reads once into `room`.
  [[nodiscard]] std::expected<sys::ReadResult, sys::SysError> read(MutableBytes room);
  // The frames of what was read.
  [[nodiscard]] FrameReader& frames() { return frames_; }

 private:
  host::TcpSocket socket_;
  DatagramQueue queue_;
  FrameReader frames_;
  std::uint64_t waiting_ = 0;
  int error_ = 0;
  Framing framing_;
};

}  // namespace sluice::forward
