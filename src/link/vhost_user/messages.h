// Messages of the vhost-user protocol (QEMU's document of that name): a header of twelve
// bytes, a payload by the kind of request, and descriptors beside it. Pure: bytes in, values out.
//
//   0         4       8      12
//   +---------+-------+------+---------+      flags: bits 0 and 1 the version (1), bit 2 "this is
//   | request | flags | size | payload |      an answer", bit 3 "an answer is wanted"
//   +---------+-------+------+---------+
//
// Numbers are in the machine's byte order. Who reads a message takes the header first, since it
// says how much follows; descriptors come with either part, and are the reader's to count.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <variant>

#include "base/bytes.h"

namespace sluice::link {

enum class VhostRequest : std::uint32_t {
  kGetFeatures = 1,
  kSetFeatures = 2,
  kSetOwner = 3,
  kResetOwner = 4,
  kSetMemTable = 5,
  kSetLogBase = 6,
  kSetLogFd = 7,
  kSetVringNum = 8,
  kSetVringAddr = 9,
  kSetVringBase = 10,
  kGetVringBase = 11,
  kSetVringKick = 12,
  kSetVringCall = 13,
  kSetVringErr = 14,
  kGetProtocolFeatures = 15,
  kSetProtocolFeatures = 16,
  kGetQueueNum = 17,
  kSetVringEnable = 18,
  kSendRarp = 19,
  kNetSetMtu = 20,
  kSetBackendReqFd = 21,
  kGetConfig = 24,
  kSetConfig = 25,
  kGetInflightFd = 31,
  kSetInflightFd = 32,
  kResetDevice = 34,
  kGetMaxMemSlots = 36,
  kAddMemReg = 37,
  kRemMemReg = 38,
  kSetStatus = 39,
  kGetStatus = 40,
};

inline constexpr std::size_t kVhostHeaderSize = 12;
// A configuration space of 256 bytes, behind its three words, is the largest that is known.
inline constexpr std::size_t kVhostConfigMax = 256;
inline constexpr std::size_t kVhostPayloadMax = 12 + kVhostConfigMax;
inline constexpr std::size_t kVhostMessageMax = kVhostHeaderSize + kVhostPayloadMax;
// Regions of one SET_MEM_TABLE, each with its descriptor. No other message has more than one.
inline constexpr std::size_t kVhostTableMax = 8;

struct VhostHeader {
  VhostRequest request{};
  bool need_reply = false;
  std::uint32_t size = 0;  // Of the payload; at most kVhostPayloadMax.
};

struct VhostNothing {
  friend bool operator==(const VhostNothing&, const VhostNothing&) = default;
};
struct VhostNumber {
  std::uint64_t value = 0;
  friend bool operator==(const VhostNumber&, const VhostNumber&) = default;
};
// What is said of one ring: its size, its place, whether it is enabled.
struct VhostVringState {
  std::uint32_t index = 0;
  std::uint32_t value = 0;
  friend bool operator==(const VhostVringState&, const VhostVringState&) = default;
};
// Where a ring's three parts lie, in addresses of the front-end.
struct VhostVringAddress {
  static constexpr std::uint32_t kLogged = 1;  // In flags: writes to the used ring are logged.

  std::uint32_t index = 0;
  std::uint32_t flags = 0;
  std::uint64_t descriptors = 0;
  std::uint64_t used = 0;
  std::uint64_t available = 0;
  std::uint64_t log = 0;  // The used ring's address in the log.
  friend bool operator==(const VhostVringAddress&, const VhostVringAddress&) = default;
};
// An eventfd of a ring, or that it has none.
struct VhostVringFd {
  std::uint8_t index = 0;
  bool present = false;
  friend bool operator==(const VhostVringFd&, const VhostVringFd&) = default;
};
struct VhostRegion {
  std::uint64_t guest_address = 0;
  std::uint64_t size = 0;
  std::uint64_t user_address = 0;  // The front-end's.
  std::uint64_t offset = 0;        // In the descriptor's file.
  friend bool operator==(const VhostRegion&, const VhostRegion&) = default;
};
struct VhostTable {
  std::uint32_t count = 0;
  std::array<VhostRegion, kVhostTableMax> regions{};
  friend bool operator==(const VhostTable&, const VhostTable&) = default;
};
struct VhostLog {
  std::uint64_t size = 0;
  std::uint64_t offset = 0;
  friend bool operator==(const VhostLog&, const VhostLog&) = default;
};
// Memory in which it is noted what of each queue is in flight: so many queues of one size.
struct VhostInflight {
  std::uint64_t size = 0;
  std::uint64_t offset = 0;
  std::uint16_t queues = 0;
  std::uint16_t queue_size = 0;
  bool padded = true;  // With the four bytes behind it that QEMU's structure has.
  friend bool operator==(const VhostInflight&, const VhostInflight&) = default;
};
struct VhostConfig {
  std::uint32_t offset = 0;
  std::uint32_t size = 0;  // At most kVhostConfigMax: so much of `bytes` counts.
  std::uint32_t flags = 0;
  std::array<std::uint8_t, kVhostConfigMax> bytes{};
  friend bool operator==(const VhostConfig&, const VhostConfig&) = default;
};

using VhostPayload =
    std::variant<VhostNothing, VhostNumber, VhostVringState, VhostVringAddress, VhostVringFd,
                 VhostRegion, VhostTable, VhostLog, VhostInflight, VhostConfig>;

// The payload is of the kind that the request has: who switches by it may take it for granted.
struct VhostMessage {
  VhostRequest request{};
  bool need_reply = false;
  VhostPayload payload{};
  friend bool operator==(const VhostMessage&, const VhostMessage&) = default;
};

enum class VhostError : std::uint8_t {
  kVersion,      // Not version 1.
  kAnswer,       // An answer, where nothing was asked.
  kUnknown,      // A request that nothing we offer allows for.
  kSize,         // A payload of another size than its kind has.
  kRegions,      // More regions than a table holds, or none.
  kDescriptors,  // More descriptors than the request takes, or fewer.
};
[[nodiscard]] std::string_view to_string(VhostError error);
// "SET_MEM_TABLE", as the protocol's document has it.
[[nodiscard]] std::string_view to_string(VhostRequest request);

// Why something is not done, for a person who has to do with the front-end.
struct VhostRefusal {
  std::string why;
};
using VhostDone = std::expected<void, VhostRefusal>;

[[nodiscard]] std::expected<VhostHeader, VhostError> parse_vhost_header(
    FixedView<kVhostHeaderSize> bytes);
// `payload` has the size that the header told, `descriptors` is how many came with both.
[[nodiscard]] std::expected<VhostMessage, VhostError> parse_vhost_message(const VhostHeader& header,
                                                                          ByteView payload,
                                                                          std::size_t descriptors);

enum class VhostKind : std::uint8_t { kRequest, kAnswer };
// Writes header and payload; returns their size.
[[nodiscard]] std::size_t emit_vhost_message(const VhostMessage& message, VhostKind kind,
                                             FixedBytes<kVhostMessageMax> out);

}  // namespace sluice::link
