// Moves bytes from one descriptor to another as they are. The source is not read while the sink
// takes nothing, so that who writes is held up. Borrows both descriptors, which must not block.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace sluice::box {

class Relay {
 public:
  static constexpr std::size_t kBuffer = std::size_t{64} << 10;

  Relay(int source, int sink) : source_(source), sink_(sink) {}

  // Whether readiness of an end would let turn() go on.
  [[nodiscard]] bool wants_source() const { return !source_ended_ && begin_ == end_; }
  [[nodiscard]] bool wants_sink() const { return begin_ != end_; }
  // Reads and writes what goes at once, up to a fair share.
  void turn();

  // The source ends behind so many bytes, or is taken as ended where it would have to be waited
  // for.
  void end_source_at(std::uint64_t bytes);
  void end_source_when_empty() { ends_when_empty_ = true; }
  // What follows is thrown away, and counts as moved.
  void drop_sink();

  // Everything that there was is moved.
  [[nodiscard]] bool done() const { return source_ended_ && begin_ == end_; }
  [[nodiscard]] bool sink_is_gone() const { return sink_gone_; }
  [[nodiscard]] std::uint64_t moved() const { return moved_; }

 private:
  // Whether there was something.
  bool fill();
  bool empty();

  int source_;
  int sink_;
  std::array<std::uint8_t, kBuffer> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::uint64_t read_ = 0;
  std::uint64_t moved_ = 0;
  std::optional<std::uint64_t> ends_at_;
  bool ends_when_empty_ = false;
  bool source_ended_ = false;
  bool sink_gone_ = false;
};

}  // namespace sluice::box
