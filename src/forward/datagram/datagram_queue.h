// Bytes that wait for a stream which takes no more at the moment. Holds memory only while
// something waits. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <vector>

#include "base/bytes.h"
#include "host/tcp_socket.h"
#include "sys/sys_error.h"

namespace sluice::forward {

class DatagramQueue {
 public:
  [[nodiscard]] std::size_t size() const { return bytes_.size() - sent_; }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  [[nodiscard]] ByteView bytes() const { return ByteView(bytes_).subspan(sent_); }

  void append(ByteView bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }

  // The first `count` bytes were sent.
  void consume(std::size_t count) {
    sent_ += count;
    if (sent_ == bytes_.size()) {
      bytes_ = {};
      sent_ = 0;
    } else if (sent_ > bytes_.size() / 2) {
      bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(sent_));
      sent_ = 0;
    }
  }

  // Writes as much as the stream takes. Returns how many bytes that was.
  [[nodiscard]] std::expected<std::size_t, sys::SysError> flush(host::TcpSocket& stream) {
    if (empty()) return std::size_t{0};
    const ByteView waiting = bytes();
    const iovec part{.iov_base = const_cast<std::uint8_t*>(waiting.data()),
                     .iov_len = waiting.size()};
    const auto sent = stream.send({&part, 1});
    if (sent) consume(*sent);
    return sent;
  }

 private:
  std::vector<std::uint8_t> bytes_;
  std::size_t sent_ = 0;
};

}  // namespace sluice::forward
