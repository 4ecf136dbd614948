// TCP options (RFC 9293, 3.2): MSS, window scale and timestamps (RFC 7323), SACK (RFC 2018).
//
//   kind 0 end, kind 1 no-operation: one byte
//   all others: | kind | length (of the whole option) | data … |
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "wire/seq_num.h"

namespace sluice::wire {

inline constexpr std::size_t kTcpOptionsSizeMax = 40;
inline constexpr std::size_t kSackBlocksMax = 4;

struct TcpTimestamps {
  std::uint32_t value = 0;
  std::uint32_t echo = 0;
  friend constexpr bool operator==(const TcpTimestamps&, const TcpTimestamps&) = default;
};

// Bytes [left, right) arrived.
struct SackBlock {
  SeqNum left{};
  SeqNum right{};
  friend constexpr bool operator==(const SackBlock&, const SackBlock&) = default;
};

struct TcpOptions {
  std::optional<std::uint16_t> mss{};
  std::optional<std::uint8_t> window_scale{};  // as sent; RFC 7323, 2.3 caps its use at 14
  bool sack_permitted = false;
  std::uint8_t sack_count = 0;
  std::optional<TcpTimestamps> timestamps{};
  std::array<SackBlock, kSackBlocksMax> sack_blocks{};

  [[nodiscard]] constexpr std::span<const SackBlock> sacks() const {
    return std::span(sack_blocks).first(sack_count);
  }
  // Ignored when full.
  constexpr void add_sack(const SackBlock& block) {
    if (sack_count < kSackBlocksMax) sack_blocks[sack_count++] = block;
  }
  friend constexpr bool operator==(const TcpOptions&, const TcpOptions&) = default;
};

// Never fails: reading stops at the first malformed option, and what came before it counts. Unknown
// options and known ones of the wrong length are skipped.
[[nodiscard]] TcpOptions parse_tcp_options(ByteView bytes);

// Bytes that emit_tcp_options() writes: a multiple of 4, at most 40. SACK blocks that do not fit
// behind the other options are left out.
[[nodiscard]] std::size_t tcp_options_length(const TcpOptions& options);

// `out` has room for tcp_options_length(). Every option is aligned as RFC 7323, appendix A, asks.
void emit_tcp_options(const TcpOptions& options, MutableBytes out);

}  // namespace sluice::wire
