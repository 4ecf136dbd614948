// The other ends of bench/sockets, in a process of their own on the second processor.
#pragma once

#include <netinet/in.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>

#include "sockets/socket_case.h"

namespace sluice::bench {

class SocketPeer {
 public:
  // Null where it cannot begin. Ends with the object, or with this process.
  [[nodiscard]] static std::unique_ptr<SocketPeer> start(const SocketCase& wanted);
  ~SocketPeer();
  SocketPeer(const SocketPeer&) = delete;
  SocketPeer& operator=(const SocketPeer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  // Sockets of ours that it serves; empty where that failed.
  [[nodiscard]] Sockets connect() const;

 private:
  SocketPeer(const SocketCase& wanted, pid_t pid, std::uint16_t port)
      : wanted_(wanted), pid_(pid), port_(port) {}

  SocketCase wanted_;
  pid_t pid_;
  std::uint16_t port_;
};

// A TCP or UDP socket that never blocks; of TCP without delay. Connected to that port of this
// machine, or on its way there, by one of its many loopback addresses: a port that has served a
// connection rests for a minute.
[[nodiscard]] UniqueFd open_socket(int type);
[[nodiscard]] sockaddr_in loopback(std::uint16_t port, std::uint64_t number = 0);
[[nodiscard]] bool connect_socket(int fd, const sockaddr_in& to);
// This process keeps to that one of the processors that it may use.
void keep_to_processor(unsigned which);

}  // namespace sluice::bench
