// What the transfer client and the lab server's --transfer port say to each other over TCP, and
// the bytes that they exchange.
//
//   client → server   transfer DIRECTION SIZE SEED\n     DIRECTION: out, in, both, back
//   client → server   SIZE bytes of stream SEED          out and both
//                     SIZE bytes of any content          back
//   client → server   FIN: the half-close ends the stream, and nothing else does
//   server → client   SIZE bytes of stream SEED + 1      in and both
//                     the bytes as they came             back
//   server → client   done RECEIVED HASH SENT HASH WRONG\n, then FIN
//
// Each end generates both streams and compares every byte with what came. RECEIVED and SENT count
// the server's bytes, HASH is the StreamHash of each as 16 hexadecimal digits, WRONG is the offset
// of the first byte that was not as it should be, or -1. Up to its line's end a request is at most
// kRequestLargest bytes; a server that does not understand it closes.
//
// A stream is a 64 KiB block of random words, drawn from the seed, repeated for ever; repetition k
// is XORed, word for word, with a key that depends on k. So any offset costs a load and an XOR,
// which is faster than any network, and yet no byte can be lost, repeated or moved unseen.
#pragma once

#include <bit>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/prng.h"

namespace sluice::bench {

static_assert(std::endian::native == std::endian::little,
              "streams are made of little-endian words");

constexpr std::size_t kRequestLargest = 100;

// The byte stream of a seed, readable at any offset.
class Stream {
 public:
  explicit Stream(std::uint64_t seed) : seed_(seed), block_(kBlock / 8) {
    Prng prng(seed);
    for (std::uint64_t& word : block_) word = prng.next();
  }

  void fill(std::uint64_t offset, std::span<char> out) const {
    while (!out.empty()) {
      const Piece piece = piece_at(offset, out.size());
      std::size_t i = 0;
      for (; i + 8 <= piece.size; i += 8) {
        const std::uint64_t word = load(piece.base + i) ^ piece.key;
        std::memcpy(out.data() + i, &word, sizeof word);
      }
      for (; i < piece.size; ++i) out[i] = byte_of(piece, i);
      offset += piece.size;
      out = out.subspan(piece.size);
    }
  }

  // The offset in the stream of the first byte that differs from it.
  [[nodiscard]] std::optional<std::uint64_t> first_difference(std::uint64_t offset,
                                                              std::span<const char> bytes) const {
    while (!bytes.empty()) {
      const Piece piece = piece_at(offset, bytes.size());
      if (differs(piece, bytes.data())) {
        std::size_t i = 0;
        while (bytes[i] == byte_of(piece, i)) ++i;
        return offset + i;
      }
      offset += piece.size;
      bytes = bytes.subspan(piece.size);
    }
    return std::nullopt;
  }

 private:
  static constexpr std::size_t kBlock = 65536;

  // Up to the end of a block: bytes of the block and the key to XOR them with.
  struct Piece {
    const char* base = nullptr;
    std::size_t size = 0;
    std::uint64_t key = 0;
  };

  [[nodiscard]] Piece piece_at(std::uint64_t offset, std::size_t most) const {
    const std::size_t at = offset % kBlock;
    const std::uint64_t key = Prng(seed_ ^ (offset / kBlock + 1)).next();
    return {.base = reinterpret_cast<const char*>(block_.data()) + at,
            .size = std::min(most, kBlock - at),
            .key = std::rotr(key, static_cast<int>(8 * (at % 8)))};
  }

  static std::uint64_t load(const char* bytes) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof word);
    return word;
  }
  static char byte_of(const Piece& piece, std::size_t i) {
    return static_cast<char>(piece.base[i] ^ static_cast<char>(piece.key >> (8 * (i % 8))));
  }
  static bool differs(const Piece& piece, const char* bytes) {
    std::uint64_t difference = 0;
    std::size_t i = 0;
    for (; i + 8 <= piece.size; i += 8) {
      difference |= load(piece.base + i) ^ piece.key ^ load(bytes + i);
    }
    for (; i < piece.size; ++i) {
      difference |= static_cast<unsigned char>(byte_of(piece, i) ^ bytes[i]);
    }
    return difference != 0;
  }

  std::uint64_t seed_;
  std::vector<std::uint64_t> block_;
};

// A 64-bit hash of a stream of bytes, whatever the pieces they come in: four lanes of
// multiply-and-fold, 16 bytes each. It finds accidents; it does not withstand an attacker.
class StreamHash {
 public:
  void add(std::span<const char> bytes) {
    size_ += bytes.size();
    if (pending_ > 0) {
      const std::size_t taken = std::min(bytes.size(), kStripe - pending_);
      std::memcpy(stripe_ + pending_, bytes.data(), taken);
      pending_ += taken;
      bytes = bytes.subspan(taken);
      if (pending_ < kStripe) return;
      mix(stripe_);
      pending_ = 0;
    }
    for (; bytes.size() >= kStripe; bytes = bytes.subspan(kStripe)) mix(bytes.data());
    if (!bytes.empty()) std::memcpy(stripe_, bytes.data(), bytes.size());
    pending_ = bytes.size();
  }

  [[nodiscard]] std::uint64_t value() const {
    StreamHash last = *this;
    std::memset(last.stripe_ + pending_, 0, kStripe - pending_);
    last.mix(last.stripe_);
    std::uint64_t out = size_ ^ kSecrets[0];
    for (const std::uint64_t lane : last.lanes_)
      out = detail::fold_product(out ^ lane, kSecrets[1]);
    return out;
  }

 private:
  static constexpr std::size_t kStripe = 64;
  // Odd, dense, and without meaning.
  static constexpr std::uint64_t kSecrets[4] = {0x8ebc6af09c88c6e3, 0x589965cc75374cc3,
                                                0x1d8e4e27c47d124f, 0xeb44accab455d165};

  void mix(const char* stripe) {
    for (std::size_t i = 0; i < 4; ++i) {
      std::uint64_t words[2];
      std::memcpy(words, stripe + 16 * i, sizeof words);
      lanes_[i] = detail::fold_product(words[0] ^ kSecrets[i], words[1] ^ lanes_[i]);
    }
  }

  std::uint64_t lanes_[4] = {kSecrets[3], kSecrets[2], kSecrets[1], kSecrets[0]};
  char stripe_[kStripe] = {};
  std::size_t pending_ = 0;
  std::uint64_t size_ = 0;
};

enum class Direction : std::uint8_t { kOut, kIn, kBoth, kBack };

struct TransferRequest {
  Direction direction = Direction::kOut;
  std::uint64_t size = 0;
  std::uint64_t seed = 0;

  [[nodiscard]] bool client_sends() const { return direction != Direction::kIn; }
  [[nodiscard]] bool server_sends() const { return direction != Direction::kOut; }
};

[[nodiscard]] constexpr std::string_view name_of(Direction direction) {
  switch (direction) {
    case Direction::kOut: return "out";
    case Direction::kIn: return "in";
    case Direction::kBoth: return "both";
    case Direction::kBack: return "back";
  }
  return "";
}

[[nodiscard]] constexpr std::optional<Direction> direction_of(std::string_view name) {
  for (const Direction direction :
       {Direction::kOut, Direction::kIn, Direction::kBoth, Direction::kBack}) {
    if (name == name_of(direction)) return direction;
  }
  return std::nullopt;
}

[[nodiscard]] inline std::string format_request(const TransferRequest& request) {
  return "transfer " + std::string(name_of(request.direction)) + " " +
         std::to_string(request.size) + " " + std::to_string(request.seed) + "\n";
}

// `line` without its end.
[[nodiscard]] inline std::optional<TransferRequest> parse_request(const std::string& line) {
  char direction[8] = {};
  TransferRequest request;
  int used = 0;
  if (std::sscanf(line.c_str(), "transfer %7s %" SCNu64 " %" SCNu64 "%n", direction, &request.size,
                  &request.seed, &used) != 3 ||
      static_cast<std::size_t>(used) != line.size()) {
    return std::nullopt;
  }
  const auto known = direction_of(direction);
  if (!known) return std::nullopt;
  request.direction = *known;
  return request;
}

// One end's view of the transfer when it is over.
struct TransferTotals {
  std::uint64_t received = 0;
  std::uint64_t received_hash = 0;
  std::uint64_t sent = 0;
  std::uint64_t sent_hash = 0;
  std::int64_t wrong = -1;
};

[[nodiscard]] inline std::string format_totals(const TransferTotals& totals) {
  char line[128];
  std::snprintf(line, sizeof line,
                "done %" PRIu64 " %016" PRIx64 " %" PRIu64 " %016" PRIx64 " %" PRId64 "\n",
                totals.received, totals.received_hash, totals.sent, totals.sent_hash, totals.wrong);
  return line;
}

[[nodiscard]] inline std::optional<TransferTotals> parse_totals(const std::string& line) {
  TransferTotals totals;
  if (std::sscanf(line.c_str(), "done %" SCNu64 " %" SCNx64 " %" SCNu64 " %" SCNx64 " %" SCNd64,
                  &totals.received, &totals.received_hash, &totals.sent, &totals.sent_hash,
                  &totals.wrong) != 5) {
    return std::nullopt;
  }
  return totals;
}

}  // namespace sluice::bench
