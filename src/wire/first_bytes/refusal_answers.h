// What a client is answered whose first bytes are refused, in the protocol that it speaks, so that
// its program can say more than that a connection broke.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace sluice::wire {

// The fatal alert access_denied (RFC 8446, 6.2) in a record of its own, not encrypted, as before a
// server's hello. Of all alerts it is the one whose text says in every library what is meant here.
inline constexpr std::array<std::uint8_t, 7> kTlsAccessDenied = {0x15, 0x03, 0x03, 0x00,
                                                                 0x02, 0x02, 0x31};

enum class RefusalStatus : std::uint16_t {
  kForbidden = 403,
  kTooManyRequests = 429,
  kBadGateway = 502,
};

// The lines of the page; those that are empty are left out.
struct RefusalPage {
  RefusalStatus status = RefusalStatus::kForbidden;
  std::string_view what{};   // "evil.test:80 is not allowed"
  std::string_view why{};    // The reason's id: "host-mismatch".
  std::string_view rule{};   // The id of the rule that decided.
  std::string_view note{};   // What the policy's author has to say about it.
  std::uint32_t number = 0;  // Under which http://sluice.internal/ has more; 0: it has nothing.
};

// A whole answer of HTTP/1.1 (RFC 9112), after which the connection ends: plain text, a line each.
// Control characters become spaces, and a line has at most 512 bytes.
[[nodiscard]] std::vector<std::uint8_t> make_refusal_page(const RefusalPage& page);

}  // namespace sluice::wire
