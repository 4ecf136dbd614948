// Bytes of a stream that wait for a socket, addressed by their offset in the stream, so that they
// may arrive with gaps. Blocks come from a bounded pool shared by all streams of a worker: an
// empty buffer holds none. The buffer knows which bytes it has, and gives out no others, whatever
// its callers believe. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"

namespace sluice {

class BlockPool {
 public:
  static constexpr std::size_t kBlockSize = 16 * 1024;

  // At most `bytes_max` are handed out at a time, in whole blocks.
  explicit BlockPool(std::size_t bytes_max) : blocks_max_(bytes_max / kBlockSize) {}

  // Null when the bound is reached.
  [[nodiscard]] std::unique_ptr<std::uint8_t[]> take();
  void give_back(std::unique_ptr<std::uint8_t[]> block);

  [[nodiscard]] std::size_t bytes_free() const { return (blocks_max_ - taken_) * kBlockSize; }
  [[nodiscard]] std::size_t blocks_taken() const { return taken_; }

 private:
  // Kept for the next burst; what is beyond goes back to the system.
  static constexpr std::size_t kKept = 64;

  std::size_t blocks_max_;
  std::size_t taken_ = 0;
  std::vector<std::unique_ptr<std::uint8_t[]>> kept_;
};

class StreamBuffer {
 public:
  // `pool` is not owned and outlives the buffer.
  explicit StreamBuffer(BlockPool& pool) : pool_(&pool) {}
  StreamBuffer(const StreamBuffer&) = delete;
  StreamBuffer& operator=(const StreamBuffer&) = delete;
  ~StreamBuffer() { clear(); }

  // Copies bytes to their place. Returns how many, from the front, the pool had room for.
  [[nodiscard]] std::size_t insert(std::uint64_t offset, ByteView bytes);
  // Where the row of bytes that begins at `from` ends: `from` itself if that byte is not here.
  [[nodiscard]] std::uint64_t present_until(std::uint64_t from) const;
  // The bytes from `from` to `until`, or to the first that is not here, in at most out.size()
  // pieces; returns how many pieces were filled.
  [[nodiscard]] std::size_t pieces(std::uint64_t from, std::uint64_t until,
                                   std::span<ByteView> out) const;
  // Forgets the bytes before `offset`, and gives back the blocks that hold no other.
  void release_before(std::uint64_t offset);
  void clear();

  [[nodiscard]] bool holds_blocks() const { return !blocks_.empty(); }

 private:
  struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };

  void note_present(Range added);

  BlockPool* pool_;
  std::uint64_t first_block_ = 0;                        // The number of blocks_[0] in the stream.
  std::vector<std::unique_ptr<std::uint8_t[]>> blocks_;  // Null where nothing arrived yet.
  std::vector<Range> present_;                           // In order; no two touch.
};

}  // namespace sluice
