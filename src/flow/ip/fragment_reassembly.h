// Puts the guest's IP fragments together again (RFC 791, 3.2; RFC 8200, 4.5).
//
// Hostile senders are the normal case: the number of unfinished datagrams and the bytes they hold
// are bounded (the oldest goes first), overlapping fragments end their datagram (RFC 5722, here for
// IPv4 too), and each datagram has a deadline. Memory is taken when a fragment arrives and given
// back when its datagram ends; idle holds nothing. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "wire/address.h"
#include "wire/ip/ip.h"
#include "wire/ip_protocol.h"

namespace sluice::flow {

// One fragment, as its IPv4 header or its IPv6 fragment header tells.
struct Fragment {
  wire::IpAddress source{};
  wire::IpAddress destination{};
  std::uint32_t id = 0;         // 16 bits in IPv4, 32 bits in IPv6.
  wire::IpProtocol protocol{};  // In IPv6 the next header that the fragment header names.
  std::uint8_t hop_limit = 0;   // Time to live in IPv4.
  std::uint8_t traffic_class = 0;
  std::size_t offset = 0;  // In bytes.
  bool more = false;
  ByteView payload{};  // What follows the IP header, or the fragment header.
};

// For a packet that parse_ip_packet() calls a fragment.
[[nodiscard]] Fragment fragment_of(const wire::IpPacketView& packet);

// A whole datagram. It owns its bytes; moving it keeps `payload()` valid.
struct Datagram {
  wire::IpAddress source{};
  wire::IpAddress destination{};
  // These three are the first fragment's (RFC 8200, 4.5). In IPv6 extension headers may follow:
  // continue with walk_extension_headers(protocol, bytes).
  wire::IpProtocol protocol{};
  std::uint8_t hop_limit = 0;
  std::uint8_t traffic_class = 0;
  std::vector<std::uint8_t> bytes{};
};

// It as a frame, as if it had come whole. One that was put together is never too long for that.
[[nodiscard]] std::vector<std::uint8_t> frame_of(const Datagram& datagram,
                                                 const wire::MacAddress& to,
                                                 const wire::MacAddress& from);

enum class FragmentOutcome : std::uint8_t {
  kComplete,   // The datagram is handed out.
  kStored,     // More fragments are needed.
  kDuplicate,  // Bytes already here, the same again: ignored.
  kOverlap,    // Disagrees with what is here, or its datagram already did: all of it is dropped.
  kBadLength,  // Empty, not a multiple of 8 before the end, or past 65,535 bytes.
  kNoRoom,     // Larger than the whole bound.
};

struct FragmentLimits {
  std::size_t datagrams_max = 64;
  std::size_t bytes_max = 4U << 20U;
};

class FragmentReassembly {
 public:
  static constexpr Duration kTimeoutV4 = std::chrono::seconds{30};
  static constexpr Duration kTimeoutV6 = std::chrono::seconds{60};  // RFC 8200, 4.5.

  struct Result {
    FragmentOutcome outcome;
    std::optional<Datagram> datagram;  // Present exactly when kComplete.
  };

  explicit FragmentReassembly(const FragmentLimits& limits = {}) : limits_(limits) {}

  [[nodiscard]] Result add(const Fragment& fragment, Instant now);

  // Drops the datagrams whose time is over. Returns how many were dropped unfinished.
  std::size_t expire(Instant now);
  [[nodiscard]] Instant next_deadline() const;

  [[nodiscard]] std::size_t pending() const { return pending_.size(); }
  [[nodiscard]] std::size_t bytes_held() const { return bytes_held_; }
  [[nodiscard]] std::uint64_t evicted() const { return evicted_; }

 private:
  // Offsets count units of 8 bytes, so one bit a unit tells which bytes are here.
  static constexpr std::size_t kUnit = 8;
  static constexpr std::size_t kUnitsMax = 65'536 / kUnit;

  struct Pending {
    Fragment first;  // Key; header fields once the first fragment is here. Its payload is unused.
    Instant deadline;
    bool poisoned = false;             // Overlapped: a tombstone for the fragments still to come.
    std::optional<std::size_t> total;  // Known once the last fragment is here.
    std::size_t end = 0;               // Highest byte seen.
    std::size_t units_here = 0;
    std::vector<std::uint8_t> bytes;
    std::vector<std::uint64_t> here;
  };
  enum class Presence : std::uint8_t { kNone, kSome, kAll };

  [[nodiscard]] Pending* find(const Fragment& fragment);
  [[nodiscard]] Pending& create(const Fragment& fragment, Instant now);
  [[nodiscard]] bool make_room(Pending*& entry, std::size_t end);
  [[nodiscard]] static bool consistent(const Pending& entry, const Fragment& fragment);
  [[nodiscard]] static Presence presence(const Pending& entry, const Fragment& fragment);
  static void store(Pending& entry, const Fragment& fragment);
  [[nodiscard]] Result finish(Pending& entry);
  void poison(Pending& entry);
  void give_back(Pending& entry);
  void erase(Pending& entry);
  [[nodiscard]] static std::size_t held_by(const Pending& entry);

  FragmentLimits limits_;
  std::vector<Pending> pending_;  // In the order of arrival.
  std::size_t bytes_held_ = 0;
  std::uint64_t evicted_ = 0;
};

}  // namespace sluice::flow
