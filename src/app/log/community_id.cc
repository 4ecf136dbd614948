#include "app/log/community_id.h"

#include <bit>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace sluice::app {
namespace {

constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kIcmpv6 = 58;

class Sha1 {
 public:
  void block(std::span<const std::uint8_t> bytes) {
    std::array<std::uint32_t, 80> words{};
    for (std::size_t i = 0; i < 16; ++i) {
      for (std::size_t k = 0; k < 4; ++k) words[i] = words[i] << 8U | bytes[4 * i + k];
    }
    for (std::size_t i = 16; i < 80; ++i) {
      words[i] = std::rotl(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
    }
    auto [a, b, c, d, e] = state_;
    for (std::size_t i = 0; i < 80; ++i) {
      const auto [function, constant] = step(i, b, c, d);
      const std::uint32_t next = std::rotl(a, 5) + function + e + constant + words[i];
      e = std::exchange(d,
                        std::exchange(c, std::rotl(std::exchange(b, std::exchange(a, next)), 30)));
    }
    const std::array<std::uint32_t, 5> after{a, b, c, d, e};
    for (std::size_t i = 0; i < 5; ++i) state_[i] += after[i];
  }
  [[nodiscard]] std::array<std::uint8_t, 20> digest() const {
    std::array<std::uint8_t, 20> bytes{};
    for (std::size_t i = 0; i < 20; ++i) {
      bytes[i] = static_cast<std::uint8_t>(state_[i / 4] >> (24 - 8 * (i % 4)));
    }
    return bytes;
  }

 private:
  static std::pair<std::uint32_t, std::uint32_t> step(std::size_t round, std::uint32_t b,
                                                      std::uint32_t c, std::uint32_t d) {
    if (round < 20) return {(b & c) | (~b & d), 0x5a827999};
    if (round < 40) return {b ^ c ^ d, 0x6ed9eba1};
    if (round < 60) return {(b & c) | (b & d) | (c & d), 0x8f1bbcdc};
    return {b ^ c ^ d, 0xca62c1d6};
  }

  std::array<std::uint32_t, 5> state_{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
};

std::string base64(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = std::min<std::size_t>(bytes.size() - i, 3);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = group << 8U | (k < left ? bytes[i + k] : 0U);
    for (std::size_t k = 0; k < 4; ++k) {
      text.push_back(k <= left ? kDigits[group >> (18 - 6 * k) & 63U] : '=');
    }
  }
  return text;
}

void append(std::vector<std::uint8_t>& out, const wire::IpAddress& address) {
  if (address.is_v4()) {
    const auto octets = address.v4_octets();
    out.insert(out.end(), octets.begin(), octets.end());
  } else {
    const auto octets = address.octets();
    out.insert(out.end(), octets.begin(), octets.end());
  }
}

void append(std::vector<std::uint8_t>& out, wire::Port port) {
  out.push_back(static_cast<std::uint8_t>(port.value >> 8U));
  out.push_back(static_cast<std::uint8_t>(port.value));
}

}  // namespace

std::array<std::uint8_t, 20> sha1(std::span<const std::uint8_t> message) {
  std::vector<std::uint8_t> padded(message.begin(), message.end());
  padded.push_back(0x80);
  while (padded.size() % 64 != 56) padded.push_back(0);
  const std::uint64_t bits = message.size() * 8;
  for (unsigned shift = 64; shift > 0; shift -= 8) {
    padded.push_back(static_cast<std::uint8_t>(bits >> (shift - 8)));
  }
  Sha1 hash;
  for (std::size_t at = 0; at < padded.size(); at += 64) {
    hash.block(std::span(padded).subspan(at, 64));
  }
  return hash.digest();
}

std::string community_id(FlowTuple tuple) {
  // Type and counter-type of an echo stand for its ports.
  if (tuple.protocol == kIcmp) {
    tuple.source.port = {8};
    tuple.destination.port = {0};
  } else if (tuple.protocol == kIcmpv6) {
    tuple.source.port = {128};
    tuple.destination.port = {129};
  }
  if (tuple.destination < tuple.source) std::swap(tuple.source, tuple.destination);
  std::vector<std::uint8_t> bytes{0, 0};  // The seed.
  append(bytes, tuple.source.address);
  append(bytes, tuple.destination.address);
  bytes.push_back(tuple.protocol);
  bytes.push_back(0);
  append(bytes, tuple.source.port);
  append(bytes, tuple.destination.port);
  return "1:" + base64(sha1(bytes));
}

}  // namespace sluice::app
