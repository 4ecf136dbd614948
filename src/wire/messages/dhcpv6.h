// DHCPv6 between client and server (RFC 8415), with DNS servers and domains (RFC 3646).
//
//    0               1               2               3
//   +---------------+-----------------------------------------------+
//   | Message type  |               Transaction id                  |
//   +---------------+-----------------------------------------------+
//   | Options: | code (2) | length (2) | data … |                   |
//   +---------------------------------------------------------------+
//
//   IA_NA:   | IAID (4) | T1 (4) | T2 (4) | options: IAADDR, status |
//   IAADDR:  | address (16) | preferred (4) | valid (4) | options   |
//
// A Dhcpv6Message owns what it holds. It is made at the pace of leases, not of frames.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "wire/address.h"
#include "wire/messages/domain_name.h"
#include "wire/parse_error.h"

namespace sluice::wire {

inline constexpr Port kDhcpv6ClientPort{546};
inline constexpr Port kDhcpv6ServerPort{547};

// Relays' messages (12, 13) have another layout and are kUnsupported.
enum class Dhcpv6MessageType : std::uint8_t {
  kSolicit = 1,
  kAdvertise = 2,
  kRequest = 3,
  kConfirm = 4,
  kRenew = 5,
  kRebind = 6,
  kReply = 7,
  kRelease = 8,
  kDecline = 9,
  kReconfigure = 10,
  kInformationRequest = 11,
};

enum class Dhcpv6Option : std::uint16_t {
  kClientId = 1,
  kServerId = 2,
  kIaNa = 3,
  kIaAddress = 5,
  kOptionRequest = 6,
  kPreference = 7,
  kElapsedTime = 8,
  kStatusCode = 13,
  kRapidCommit = 14,
  kDnsServers = 23,
  kDomainList = 24,
  kFullName = 39,
};

enum class Dhcpv6StatusCode : std::uint16_t {
  kSuccess = 0,
  kUnspecFail = 1,
  kNoAddrsAvail = 2,
  kNoBinding = 3,
  kNotOnLink = 4,
  kUseMulticast = 5,
  kNoPrefixAvail = 6,
};

struct Dhcpv6Status {
  Dhcpv6StatusCode code{};
  std::string message{};
  friend bool operator==(const Dhcpv6Status&, const Dhcpv6Status&) = default;
};

struct Dhcpv6Address {
  IpAddress address{};
  std::uint32_t preferred_seconds = 0;
  std::uint32_t valid_seconds = 0;
  std::optional<Dhcpv6Status> status{};
  friend bool operator==(const Dhcpv6Address&, const Dhcpv6Address&) = default;
};

struct Dhcpv6IaNa {
  std::uint32_t id = 0;
  std::uint32_t t1_seconds = 0;
  std::uint32_t t2_seconds = 0;
  std::vector<Dhcpv6Address> addresses{};
  std::optional<Dhcpv6Status> status{};
  friend bool operator==(const Dhcpv6IaNa&, const Dhcpv6IaNa&) = default;
};

struct Dhcpv6Message {
  // What a message holds beyond these is left out.
  static constexpr std::size_t kIaNaMax = 8;
  static constexpr std::size_t kAddressesMax = 8;

  Dhcpv6MessageType type{};
  std::uint32_t transaction_id = 0;  // 24 bits
  std::vector<std::uint8_t> client_id{};
  std::vector<std::uint8_t> server_id{};
  std::vector<Dhcpv6IaNa> ia_nas{};
  std::vector<std::uint16_t> option_request{};
  std::vector<IpAddress> dns_servers{};
  std::vector<DomainName> domain_list{};
  std::optional<DomainName> full_name{};  // The client's own (RFC 4704).
  std::optional<Dhcpv6Status> status{};
  std::optional<std::uint8_t> preference{};
  std::optional<std::uint16_t> elapsed_centiseconds{};
  bool rapid_commit = false;

  friend bool operator==(const Dhcpv6Message&, const Dhcpv6Message&) = default;

  // An option that runs past the end of what holds it makes the message invalid; a known option of
  // the wrong length is left out.
  [[nodiscard]] static std::expected<Dhcpv6Message, ParseError> parse(ByteView udp_payload);

  // The length written; nothing if `out` is too small. Empty members are left out.
  [[nodiscard]] std::optional<std::size_t> emit(MutableBytes out) const;
};

// A DUID of type link-layer address (RFC 8415, 11.4).
[[nodiscard]] std::vector<std::uint8_t> make_duid_ll(const MacAddress& mac);

}  // namespace sluice::wire
