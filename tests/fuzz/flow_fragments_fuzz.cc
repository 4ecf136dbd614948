// Fragments in any order, with any fields: memory stays within its bounds, and what comes out is
// made of what went in.
//
// Input, again and again: flags, id, offset / 8 (2 bytes), length, milliseconds.
#include <vector>

#include "flow/core/guest_network.h"
#include "flow/ip/fragment_reassembly.h"
#include "flow/ip/fragmenter.h"
#include "require.h"
#include "wire/byte_cursor.h"

namespace {

using namespace sluice;

constexpr flow::FragmentLimits kLimits{.datagrams_max = 8, .bytes_max = 100'000};

// Every byte of a payload tells its place in the datagram.
std::uint8_t byte_at(std::size_t place) {
  return static_cast<std::uint8_t>(place * 31 + place / 7);
}

flow::Fragment next_fragment(wire::ByteReader& input, std::vector<std::uint8_t>& payload) {
  const flow::GuestNetwork network;
  const std::uint8_t flags = input.u8();
  flow::Fragment fragment;
  const bool ipv4 = (flags & 1) != 0;
  fragment.source = ipv4 ? network.guest_v4 : network.guest_v6;
  fragment.destination = ipv4 ? network.dns_v4 : network.dns_v6;
  fragment.more = (flags & 2) != 0;
  fragment.protocol = wire::IpProtocol{static_cast<std::uint8_t>((flags & 4) != 0 ? 17 : 1)};
  fragment.id = input.u8() % 16;
  fragment.offset = std::size_t{input.u16()} % 8192 * 8;
  payload.resize(std::size_t{input.u8()} * ((flags & 8) != 0 ? 256U : 8U) + ((flags & 16) != 0));
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = byte_at(fragment.offset + i);
  // Sometimes it disagrees with what came before.
  if ((flags & 32) != 0 && !payload.empty()) payload[0] ^= 1;
  fragment.payload = payload;
  return fragment;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  wire::ByteReader input(ByteView(data, size));
  flow::FragmentReassembly table(kLimits);
  Instant now{};
  std::vector<std::uint8_t> payload;
  while (!input.empty()) {
    const flow::Fragment fragment = next_fragment(input, payload);
    now += std::chrono::milliseconds(input.u8()) * 64;
    const auto result = table.add(fragment, now);
    require(table.pending() <= kLimits.datagrams_max, "unfinished datagrams stay within the bound");
    require(table.bytes_held() <= kLimits.bytes_max, "bytes stay within the bound");
    require((result.outcome == flow::FragmentOutcome::kComplete) == result.datagram.has_value(),
            "a datagram comes exactly when complete");
    if (!result.datagram) continue;
    const auto& bytes = result.datagram->bytes;
    require(!bytes.empty() && bytes.size() <= 65'535, "a datagram has a legal size");
    for (std::size_t i = 0; i < bytes.size(); ++i)
      require((bytes[i] ^ byte_at(i)) <= 1, "bytes stand where they were sent");

    // Out again in pieces, and no piece is larger than it may be.
    flow::Fragmenter pieces({.source = result.datagram->source,
                             .destination = result.datagram->destination,
                             .protocol = result.datagram->protocol,
                             .payload = bytes},
                            1280);
    std::vector<std::uint8_t> frame(14 + 1280);
    while (const std::size_t length = pieces.next(frame))
      require(length <= pieces.frame_size_max(), "no frame exceeds the announced size");
    require(pieces.done(), "every byte goes out");
  }
  table.expire(now + std::chrono::hours(1));
  require(table.pending() == 0 && table.bytes_held() == 0 && table.next_deadline() == kNever,
          "nothing is left after the deadlines");
  return 0;
}
