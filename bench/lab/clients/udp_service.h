// The lab server's UDP ports: echo, and the sink that counts the datagrams of udp_sink.h.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>

#include "clients/sockets.h"
#include "clients/udp_sink.h"

namespace sluice::bench {

struct SinkCount {
  std::uint64_t received = 0;
  std::uint64_t bytes = 0;
  std::uint64_t reordered = 0;
  std::uint64_t highest = 0;
  std::uint64_t first_ns = 0;
  std::uint64_t last_ns = 0;
};

class Sink {
 public:
  void count(const SinkHeader& header, std::size_t size, std::uint64_t now) {
    SinkCount& run = runs_[header.run];
    if (run.received == 0) run.first_ns = now;
    if (run.received > 0 && header.sequence <= run.highest) ++run.reordered;
    run.highest = std::max(run.highest, header.sequence);
    run.last_ns = now;
    ++run.received;
    run.bytes += size;
  }

  [[nodiscard]] std::string report(std::uint64_t number) const {
    const auto found = runs_.find(number);
    const SinkCount run = found == runs_.end() ? SinkCount{} : found->second;
    return fmt::format(
        "{{\"received\":{},\"bytes\":{},\"reordered\":{},\"highest\":{},\"seconds\":{:.6f}}}\n",
        run.received, run.bytes, run.reordered, run.highest,
        static_cast<double>(run.last_ns - run.first_ns) / 1e9);
  }

 private:
  std::unordered_map<std::uint64_t, SinkCount> runs_;
};

// Until none waits.
inline void echo_datagrams(int fd, std::span<char> buffer) {
  sockaddr_storage from{};
  while (true) {
    socklen_t length = sizeof from;
    const ssize_t got = ::recvfrom(fd, buffer.data(), buffer.size(), 0,
                                   reinterpret_cast<sockaddr*>(&from), &length);
    if (got < 0) return;
    // rinetd opens a session with an empty datagram, and takes an empty answer for its end.
    if (got == 0) continue;
    ::sendto(fd, buffer.data(), static_cast<std::size_t>(got), 0,
             reinterpret_cast<const sockaddr*>(&from), length);
  }
}

// Reads the headers only; MSG_TRUNC still tells each datagram's true size.
inline void sink_datagrams(int fd, Sink& sink) {
  constexpr unsigned kBatch = 64;
  std::array<SinkHeader, kBatch> headers{};
  std::array<iovec, kBatch> parts{};
  std::array<mmsghdr, kBatch> messages{};
  for (std::size_t i = 0; i < kBatch; ++i) {
    parts[i] = {&headers[i], sizeof headers[i]};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  const int count = ::recvmmsg(fd, messages.data(), kBatch, MSG_DONTWAIT | MSG_TRUNC, nullptr);
  const std::uint64_t now = now_ns();
  for (std::size_t i = 0; i < static_cast<std::size_t>(std::max(count, 0)); ++i) {
    if (messages[i].msg_len >= sizeof(SinkHeader)) {
      sink.count(headers[i], messages[i].msg_len, now);
    }
  }
}

}  // namespace sluice::bench
