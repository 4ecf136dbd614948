#include "wire/transport/tcp_options.h"

#include <algorithm>

namespace sluice::wire {
namespace {

constexpr std::uint8_t kEnd = 0;
constexpr std::uint8_t kNop = 1;
constexpr std::uint8_t kMss = 2;
constexpr std::uint8_t kWindowScale = 3;
constexpr std::uint8_t kSackPermitted = 4;
constexpr std::uint8_t kSack = 5;
constexpr std::uint8_t kTimestamps = 8;

constexpr std::size_t kSackBlockSize = 8;

void parse_sack(ByteView data, TcpOptions& options) {
  if (data.size() % kSackBlockSize != 0) return;
  for (; !data.empty(); data = data.subspan(kSackBlockSize)) {
    const FixedView<kSackBlockSize> block = data.first<kSackBlockSize>();
    options.add_sack({SeqNum{be32<0>(block)}, SeqNum{be32<4>(block)}});
  }
}

void parse_option(std::uint8_t kind, ByteView data, TcpOptions& options) {
  if (kind == kMss && data.size() == 2) {
    options.mss = be16<0>(data.first<2>());
  } else if (kind == kWindowScale && data.size() == 1) {
    options.window_scale = data[0];
  } else if (kind == kSackPermitted && data.empty()) {
    options.sack_permitted = true;
  } else if (kind == kSack) {
    parse_sack(data, options);
  } else if (kind == kTimestamps && data.size() == 8) {
    const FixedView<8> words = data.first<8>();
    options.timestamps = TcpTimestamps{be32<0>(words), be32<4>(words)};
  }
}

std::size_t fixed_options_length(const TcpOptions& options) {
  std::size_t length = 0;
  if (options.mss) length += 4;
  if (options.timestamps) {
    length += 12;  // SACK-permitted takes the place of its padding.
  } else if (options.sack_permitted) {
    length += 4;
  }
  if (options.window_scale) length += 4;
  return length;
}

std::size_t sack_blocks_that_fit(const TcpOptions& options, std::size_t used) {
  constexpr std::size_t kSackHeader = 4;
  const std::size_t room = (kTcpOptionsSizeMax - used - kSackHeader) / kSackBlockSize;
  return std::min<std::size_t>(options.sack_count, room);
}

}  // namespace

TcpOptions parse_tcp_options(ByteView bytes) {
  TcpOptions options;
  while (!bytes.empty() && bytes[0] != kEnd) {
    if (bytes[0] == kNop) {
      bytes = bytes.subspan(1);
      continue;
    }
    if (bytes.size() < 2) break;
    const std::size_t length = bytes[1];
    if (length < 2 || length > bytes.size()) break;
    parse_option(bytes[0], bytes.subspan(2, length - 2), options);
    bytes = bytes.subspan(length);
  }
  return options;
}

std::size_t tcp_options_length(const TcpOptions& options) {
  const std::size_t fixed = fixed_options_length(options);
  const std::size_t blocks = sack_blocks_that_fit(options, fixed);
  return blocks == 0 ? fixed : fixed + 4 + blocks * kSackBlockSize;
}

void emit_tcp_options(const TcpOptions& options, MutableBytes out) {
  const auto word = [&out](std::uint32_t value) {
    put32<0>(out.first<4>(), value);
    out = out.subspan(4);
  };
  constexpr std::uint32_t kTwoNops = (std::uint32_t{kNop} << 24) | (std::uint32_t{kNop} << 16);
  constexpr std::uint32_t kSackPermittedHigh = (std::uint32_t{kSackPermitted} << 24) | (2U << 16);

  if (options.mss) word((std::uint32_t{kMss} << 24) | (4U << 16) | *options.mss);
  if (options.timestamps) {
    word((options.sack_permitted ? kSackPermittedHigh : kTwoNops) |
         (std::uint32_t{kTimestamps} << 8) | 10U);
    word(options.timestamps->value);
    word(options.timestamps->echo);
  } else if (options.sack_permitted) {
    word(kTwoNops | (std::uint32_t{kSackPermitted} << 8) | 2U);
  }
  if (options.window_scale) {
    word((std::uint32_t{kNop} << 24) | (std::uint32_t{kWindowScale} << 16) | (3U << 8) |
         *options.window_scale);
  }
  const std::size_t blocks = sack_blocks_that_fit(options, fixed_options_length(options));
  if (blocks == 0) return;
  word(kTwoNops | (std::uint32_t{kSack} << 8) |
       static_cast<std::uint32_t>(2 + blocks * kSackBlockSize));
  for (const SackBlock& block : options.sacks().first(blocks)) {
    word(block.left.value);
    word(block.right.value);
  }
}

}  // namespace sluice::wire
