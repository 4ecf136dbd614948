#include "wire/checksum.h"

#include <bit>
#include <cstring>

namespace sluice::wire {
namespace {

std::uint64_t load64(const std::uint8_t* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

constexpr std::uint64_t kLow32 = 0xffff'ffff;

}  // namespace

// Ones' complement addition does not care about byte order until the end (RFC 1071, 2 (B)), so the
// words are added as the machine loads them, 32 bits into 64-bit accumulators that cannot overflow
// below 32 GiB, and swapped once.
std::uint32_t checksum_add(std::uint32_t sum, ByteView bytes) {
  const std::uint8_t* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t low0 = 0;
  std::uint64_t high0 = 0;
  std::uint64_t low1 = 0;
  std::uint64_t high1 = 0;
  for (; left >= 32; left -= 32, at += 32) {
    const std::uint64_t a = load64(at);
    const std::uint64_t b = load64(at + 8);
    const std::uint64_t c = load64(at + 16);
    const std::uint64_t d = load64(at + 24);
    low0 += (a & kLow32) + (c & kLow32);
    high0 += (a >> 32) + (c >> 32);
    low1 += (b & kLow32) + (d & kLow32);
    high1 += (b >> 32) + (d >> 32);
  }
  for (; left >= 8; left -= 8, at += 8) {
    const std::uint64_t a = load64(at);
    low0 += a & kLow32;
    high0 += a >> 32;
  }
  if (left > 0) {
    std::uint64_t tail = 0;  // The zero bytes pad an odd length, as the RFC asks.
    std::memcpy(&tail, at, left);
    low1 += tail & kLow32;
    high1 += tail >> 32;
  }
  std::uint64_t total = low0 + high0 + low1 + high1;
  total = (total & kLow32) + (total >> 32);
  total = (total & 0xffff) + ((total >> 16) & 0xffff) + (total >> 32);
  total = (total & 0xffff) + (total >> 16);
  total = (total & 0xffff) + (total >> 16);
  if constexpr (std::endian::native == std::endian::little) {
    total = ((total & 0xff) << 8) | (total >> 8);
  }
  return sum + static_cast<std::uint32_t>(total);
}

}  // namespace sluice::wire
