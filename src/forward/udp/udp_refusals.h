// Which refusals of datagrams are worth a line in the log: one for each client, rule and reason in
// a while, and never more than so many a second, since a sender may write any source address. In
// a table of fixed size; a client that is forgotten because another took its place is logged again.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>

#include "base/siphash.h"
#include "base/time.h"
#include "forward/log/session_event.h"
#include "wire/address.h"

namespace sluice::forward {

class UdpRefusals {
 public:
  static constexpr Duration kForgetAfter = std::chrono::seconds{60};
  static constexpr std::uint32_t kLinesPerSecond = 50;

  explicit UdpRefusals(const SipKey& secret) : secret_(secret) {}

  [[nodiscard]] bool worth_a_line(const wire::IpAddress& client, std::uint32_t listener,
                                  SessionResult result, Instant now) {
    if (places_ == nullptr) places_ = std::make_unique<Places>();
    std::array<std::uint8_t, 21> bytes;
    std::memcpy(bytes.data(), client.octets().data(), 16);
    std::memcpy(bytes.data() + 16, &listener, 4);
    bytes[20] = static_cast<std::uint8_t>(result);
    const std::uint64_t name = siphash(secret_, bytes);
    Place& place = (*places_)[name % kPlaces];
    if (place.used && place.name == name && now - place.logged_at < kForgetAfter) return false;
    if (now - second_began_ >= std::chrono::seconds{1}) {
      second_began_ = now;
      lines_ = 0;
    }
    if (lines_ == kLinesPerSecond) return false;
    ++lines_;
    place = {.name = name, .logged_at = now, .used = true};
    return true;
  }

 private:
  static constexpr std::size_t kPlaces = 1024;
  struct Place {
    std::uint64_t name = 0;
    Instant logged_at{};
    bool used = false;
  };
  using Places = std::array<Place, kPlaces>;

  SipKey secret_;
  std::unique_ptr<Places> places_;  // Nothing until the first refusal.
  Instant second_began_{};
  std::uint32_t lines_ = 0;
};

}  // namespace sluice::forward
