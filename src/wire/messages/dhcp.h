// DHCP for IPv4 (RFC 2131), its options (RFC 2132), long options (RFC 3396) and the domain search
// list (RFC 3397), the client's full name (RFC 4702).
//
//    0               1               2               3
//   +---------------+---------------+---------------+---------------+
//   |      op       | htype = 1     |   hlen = 6    |     hops      |
//   +---------------+---------------+---------------+---------------+
//   |                              xid                              |
//   +-------------------------------+-------------------------------+
//   |             secs              |B            flags             |
//   +-------------------------------+-------------------------------+
//   |    ciaddr, yiaddr, siaddr, giaddr (4 each)                    |
//   +---------------------------------------------------------------+
//   |    chaddr (16), sname (64), file (128)                        |
//   +---------------------------------------------------------------+
//   |    63 82 53 63 | options: code, length, data … | ff           |
//   +---------------------------------------------------------------+
//
// A DhcpMessage owns what it holds. It is made at the pace of leases, not of frames.
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

inline constexpr Port kDhcpServerPort{67};
inline constexpr Port kDhcpClientPort{68};

enum class DhcpOperation : std::uint8_t { kRequest = 1, kReply = 2 };

enum class DhcpMessageType : std::uint8_t {
  kDiscover = 1,
  kOffer = 2,
  kRequest = 3,
  kDecline = 4,
  kAck = 5,
  kNak = 6,
  kRelease = 7,
  kInform = 8,
};

enum class DhcpOption : std::uint8_t {
  kPad = 0,
  kSubnetMask = 1,
  kRouter = 3,
  kDnsServers = 6,
  kHostName = 12,
  kDomainName = 15,
  kMtu = 26,
  kBroadcastAddress = 28,
  kRequestedAddress = 50,
  kLeaseTime = 51,
  kOverload = 52,
  kMessageType = 53,
  kServerId = 54,
  kParameterList = 55,
  kMessage = 56,
  kMaxMessageSize = 57,
  kRenewalTime = 58,
  kRebindingTime = 59,
  kClientId = 61,
  kFullName = 81,
  kDomainSearch = 119,
  kEnd = 255,
};

// Text is what the peer sent: it may hold any bytes and must be checked before it is used as a
// name. All addresses are IPv4. An absent address field is 0.0.0.0.
struct DhcpMessage {
  static constexpr std::size_t kHeaderSize = 236;
  // BOOTP's size, below which some old clients refuse a message (RFC 1542, 2.1).
  static constexpr std::size_t kSizeMin = 300;

  DhcpOperation operation = DhcpOperation::kRequest;
  DhcpMessageType type{};
  std::uint8_t hops = 0;
  std::uint32_t transaction_id = 0;
  std::uint16_t seconds = 0;
  bool broadcast = false;  // the client cannot take a unicast reply yet
  IpAddress client_address = IpAddress::v4(std::uint32_t{0});   // ciaddr
  IpAddress your_address = IpAddress::v4(std::uint32_t{0});     // yiaddr
  IpAddress server_address = IpAddress::v4(std::uint32_t{0});   // siaddr
  IpAddress gateway_address = IpAddress::v4(std::uint32_t{0});  // giaddr
  MacAddress client_mac{};

  std::optional<IpAddress> subnet_mask{};
  std::vector<IpAddress> routers{};
  std::vector<IpAddress> dns_servers{};
  std::string host_name{};
  std::string domain_name{};
  std::vector<DomainName> domain_search{};
  // The client's own whole name (RFC 4702), in its canonical form; the older text form is left out.
  std::optional<DomainName> full_name{};
  std::optional<std::uint16_t> mtu{};
  std::optional<IpAddress> broadcast_address{};
  std::optional<IpAddress> requested_address{};
  std::optional<std::uint32_t> lease_seconds{};
  std::optional<std::uint32_t> renewal_seconds{};
  std::optional<std::uint32_t> rebinding_seconds{};
  std::optional<IpAddress> server_id{};
  std::vector<std::uint8_t> parameter_list{};
  std::vector<std::uint8_t> client_id{};
  std::optional<std::uint16_t> max_message_size{};
  std::string message{};  // why a NAK

  friend bool operator==(const DhcpMessage&, const DhcpMessage&) = default;

  // Reads `udp_payload`, the fields `file` and `sname` too where they hold options. BOOTP without a
  // message type and hardware other than Ethernet are kUnsupported; a known option whose length is
  // wrong is left out.
  [[nodiscard]] static std::expected<DhcpMessage, ParseError> parse(ByteView udp_payload);

  // The length written, padded to kSizeMin; nothing if `out` is too small. Empty members are left
  // out, options longer than 255 bytes are split.
  [[nodiscard]] std::optional<std::size_t> emit(MutableBytes out) const;
};

}  // namespace sluice::wire
