// Answers of a read. That nothing is there yet is an answer, not an error.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::sys {

enum class ReadStatus : std::uint8_t { kData, kWouldBlock, kEndOfStream };

struct ReadResult {
  ReadStatus status = ReadStatus::kWouldBlock;
  std::size_t bytes = 0;  // Above zero exactly when status is kData.
  friend bool operator==(const ReadResult&, const ReadResult&) = default;
};

}  // namespace sluice::sys
