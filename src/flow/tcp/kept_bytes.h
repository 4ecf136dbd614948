// The first bytes of a connection of the guest's, kept until they are judged and then until the
// host has them. They belong to the flow, not to its socket: the guest was told that we have them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"

namespace sluice::flow {

class KeptBytes {
 public:
  // The window that the guest is offered meanwhile. What its scale rounds up finds room as well.
  static constexpr std::uint32_t kMax = 16 * 1024;
  static constexpr std::uint32_t kRounding = 256;
  // How many flows may keep bytes at the same time.
  static constexpr std::size_t kFlowsMax = 1024;

  [[nodiscard]] bool has_begun() const { return bytes_.capacity() != 0; }
  // Room for all there will ever be: who is told of the bytes borrows them.
  void begin() { bytes_.reserve(kMax + kRounding); }
  // In the order of the stream. Only after begin(), and no more than there is room for.
  void add(ByteView bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  [[nodiscard]] std::size_t room() const { return kMax + kRounding - bytes_.size(); }

  // All from the first byte on.
  [[nodiscard]] ByteView all() const { return bytes_; }
  // Whether there is more to judge than there was last time; `finished`: the guest's FIN has come.
  [[nodiscard]] bool take_news(bool finished) {
    const bool news = bytes_.size() != told_ || finished != finished_told_;
    told_ = bytes_.size();
    finished_told_ = finished;
    return news;
  }

  // Let through: from here on they are on their way to the host.
  [[nodiscard]] bool is_let_through() const { return let_through_; }
  void let_through() {
    let_through_ = true;
    until = kNever;
  }
  [[nodiscard]] std::uint64_t taken() const { return taken_; }
  [[nodiscard]] ByteView rest() const { return ByteView(bytes_).subspan(taken_); }
  void take(std::uint64_t count) {
    taken_ += std::min<std::uint64_t>(count, bytes_.size() - taken_);
  }

  // For those who borrow from it yet.
  [[nodiscard]] std::vector<std::uint8_t> release() { return std::move(bytes_); }

  Instant until = kNever;  // When the flow is refused, or the rest is offered to the host again.
  std::uint32_t host_room = 0;  // What the host takes, as the driver said last.

 private:
  std::vector<std::uint8_t> bytes_;
  std::size_t told_ = 0;
  bool finished_told_ = false;
  bool let_through_ = false;
  std::size_t taken_ = 0;
};

}  // namespace sluice::flow
