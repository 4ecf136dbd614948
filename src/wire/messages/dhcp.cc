#include "wire/messages/dhcp.h"

#include <algorithm>
#include <map>

#include "wire/byte_cursor.h"
#include "wire/link/ethernet.h"

namespace sluice::wire {
namespace {

constexpr std::uint32_t kCookie = 0x6382'5363;
constexpr std::uint16_t kBroadcastFlag = 0x8000;
constexpr std::uint8_t kHardwareEthernet = 1;
constexpr std::uint8_t kMacSize = 6;
constexpr std::size_t kHardwareAddressSize = 16;
constexpr std::size_t kServerNameOffset = 44;
constexpr std::size_t kServerNameSize = 64;
constexpr std::size_t kFileOffset = 108;
constexpr std::size_t kFileSize = 128;
constexpr std::size_t kOptionSizeMax = 255;
constexpr std::uint8_t kOverloadFile = 1;
constexpr std::uint8_t kOverloadServerName = 2;

// An option that occurs again continues the first (RFC 3396, 5).
using Options = std::map<DhcpOption, std::vector<std::uint8_t>>;

std::expected<void, ParseError> collect_options(ByteView bytes, Options& options) {
  ByteReader in(bytes);
  while (!in.empty()) {
    const DhcpOption code{in.u8()};
    if (code == DhcpOption::kPad) continue;
    if (code == DhcpOption::kEnd) return {};
    const std::size_t length = in.u8();
    const ByteView data = in.take(length);
    if (!in.ok()) return std::unexpected(ParseError::kTruncated);
    std::vector<std::uint8_t>& value = options[code];
    value.insert(value.end(), data.begin(), data.end());
  }
  return {};
}

// RFC 2132, 9.3: the options of `file` come before those of `sname`.
std::expected<void, ParseError> collect_overloaded(ByteView message, Options& options) {
  const auto found = options.find(DhcpOption::kOverload);
  if (found == options.end() || found->second.empty()) return {};
  const std::uint8_t where = found->second.front();
  if ((where & kOverloadFile) != 0) {
    auto collected = collect_options(message.subspan(kFileOffset, kFileSize), options);
    if (!collected) return collected;
  }
  if ((where & kOverloadServerName) != 0) {
    return collect_options(message.subspan(kServerNameOffset, kServerNameSize), options);
  }
  return {};
}

// Typed reads of collected options. A wrong length reads as absent.
class OptionReader {
 public:
  explicit OptionReader(const Options& options) : options_(options) {}

  [[nodiscard]] ByteView bytes(DhcpOption code) const {
    const auto found = options_.find(code);
    return found == options_.end() ? ByteView() : ByteView(found->second);
  }
  [[nodiscard]] std::optional<std::uint16_t> u16(DhcpOption code) const {
    const ByteView data = bytes(code);
    if (data.size() != 2) return std::nullopt;
    return be16<0>(data.first<2>());
  }
  [[nodiscard]] std::optional<std::uint32_t> u32(DhcpOption code) const {
    const ByteView data = bytes(code);
    if (data.size() != 4) return std::nullopt;
    return be32<0>(data.first<4>());
  }
  [[nodiscard]] std::optional<IpAddress> address(DhcpOption code) const {
    const ByteView data = bytes(code);
    if (data.size() != 4) return std::nullopt;
    return IpAddress::v4(data.first<4>());
  }
  [[nodiscard]] std::vector<IpAddress> addresses(DhcpOption code) const {
    std::vector<IpAddress> list;
    ByteView data = bytes(code);
    if (data.size() % 4 != 0) return list;
    for (; !data.empty(); data = data.subspan(4)) list.push_back(IpAddress::v4(data.first<4>()));
    return list;
  }
  // RFC 2132, 2: a receiver strips the zero bytes that some senders put at the end.
  [[nodiscard]] std::string text(DhcpOption code) const {
    const ByteView data = bytes(code);
    std::string text(data.begin(), data.end());
    while (!text.empty() && text.back() == '\0') text.pop_back();
    return text;
  }
  [[nodiscard]] std::vector<std::uint8_t> copy(DhcpOption code) const {
    const ByteView data = bytes(code);
    return {data.begin(), data.end()};
  }

 private:
  const Options& options_;
};

// RFC 4702, 2.1: flags, two bytes that are obsolete, the name.
constexpr std::size_t kFullNameStart = 3;
constexpr std::uint8_t kFullNameCanonical = 0x04;  // The E bit.

[[nodiscard]] std::optional<DomainName> read_full_name(ByteView data) {
  if (data.size() <= kFullNameStart || (data[0] & kFullNameCanonical) == 0) return std::nullopt;
  const auto name = read_name(data.subspan(kFullNameStart), 0);
  if (!name) return std::nullopt;
  return name->name;
}

void read_options(const OptionReader& in, DhcpMessage& message) {
  message.subnet_mask = in.address(DhcpOption::kSubnetMask);
  message.routers = in.addresses(DhcpOption::kRouter);
  message.dns_servers = in.addresses(DhcpOption::kDnsServers);
  message.host_name = in.text(DhcpOption::kHostName);
  message.domain_name = in.text(DhcpOption::kDomainName);
  auto search = read_name_list(in.bytes(DhcpOption::kDomainSearch), Compression::kAllowed);
  if (search) message.domain_search = *std::move(search);
  message.full_name = read_full_name(in.bytes(DhcpOption::kFullName));
  message.mtu = in.u16(DhcpOption::kMtu);
  message.broadcast_address = in.address(DhcpOption::kBroadcastAddress);
  message.requested_address = in.address(DhcpOption::kRequestedAddress);
  message.lease_seconds = in.u32(DhcpOption::kLeaseTime);
  message.renewal_seconds = in.u32(DhcpOption::kRenewalTime);
  message.rebinding_seconds = in.u32(DhcpOption::kRebindingTime);
  message.server_id = in.address(DhcpOption::kServerId);
  message.parameter_list = in.copy(DhcpOption::kParameterList);
  message.client_id = in.copy(DhcpOption::kClientId);
  message.max_message_size = in.u16(DhcpOption::kMaxMessageSize);
  message.message = in.text(DhcpOption::kMessage);
}

// Typed writes of options; what is empty is left out.
class OptionWriter {
 public:
  explicit OptionWriter(ByteWriter& out) : out_(out) {}

  void bytes(DhcpOption code, ByteView data) {
    while (!data.empty()) {
      const ByteView piece = data.first(std::min(data.size(), kOptionSizeMax));
      out_.u8(static_cast<std::uint8_t>(code));
      out_.u8(static_cast<std::uint8_t>(piece.size()));
      out_.bytes(piece);
      data = data.subspan(piece.size());
    }
  }
  void u8(DhcpOption code, std::uint8_t value) { bytes(code, ByteView(&value, 1)); }
  void u16(DhcpOption code, const std::optional<std::uint16_t>& value) {
    if (!value) return;
    std::array<std::uint8_t, 2> data{};
    put16<0>(FixedBytes<2>(data), *value);
    bytes(code, data);
  }
  void u32(DhcpOption code, const std::optional<std::uint32_t>& value) {
    if (!value) return;
    std::array<std::uint8_t, 4> data{};
    put32<0>(FixedBytes<4>(data), *value);
    bytes(code, data);
  }
  void address(DhcpOption code, const std::optional<IpAddress>& value) {
    if (value) bytes(code, value->v4_octets());
  }
  void addresses(DhcpOption code, const std::vector<IpAddress>& list) {
    std::vector<std::uint8_t> data;
    for (const IpAddress& address : list) {
      const FixedView<4> octets = address.v4_octets();
      data.insert(data.end(), octets.begin(), octets.end());
    }
    bytes(code, data);
  }
  void text(DhcpOption code, const std::string& value) {
    const std::vector<std::uint8_t> data(value.begin(), value.end());
    bytes(code, data);
  }
  void full_name(const DomainName& name) {
    std::vector<std::uint8_t> data{kFullNameCanonical, 0, 0};
    data.insert(data.end(), name.wire().begin(), name.wire().end());
    bytes(DhcpOption::kFullName, data);
  }
  void names(DhcpOption code, const std::vector<DomainName>& list) {
    std::vector<std::uint8_t> data;
    for (const DomainName& name : list) {
      data.insert(data.end(), name.wire().begin(), name.wire().end());
    }
    bytes(code, data);
  }

 private:
  ByteWriter& out_;
};

void write_options(OptionWriter out, const DhcpMessage& message) {
  out.u8(DhcpOption::kMessageType, static_cast<std::uint8_t>(message.type));
  out.address(DhcpOption::kServerId, message.server_id);
  out.address(DhcpOption::kRequestedAddress, message.requested_address);
  out.u32(DhcpOption::kLeaseTime, message.lease_seconds);
  out.u32(DhcpOption::kRenewalTime, message.renewal_seconds);
  out.u32(DhcpOption::kRebindingTime, message.rebinding_seconds);
  // RFC 2132, 3.3: the mask before the routers.
  out.address(DhcpOption::kSubnetMask, message.subnet_mask);
  out.addresses(DhcpOption::kRouter, message.routers);
  out.addresses(DhcpOption::kDnsServers, message.dns_servers);
  out.address(DhcpOption::kBroadcastAddress, message.broadcast_address);
  out.u16(DhcpOption::kMtu, message.mtu);
  out.text(DhcpOption::kHostName, message.host_name);
  out.text(DhcpOption::kDomainName, message.domain_name);
  out.names(DhcpOption::kDomainSearch, message.domain_search);
  if (message.full_name) out.full_name(*message.full_name);
  out.bytes(DhcpOption::kParameterList, message.parameter_list);
  out.bytes(DhcpOption::kClientId, message.client_id);
  out.u16(DhcpOption::kMaxMessageSize, message.max_message_size);
  out.text(DhcpOption::kMessage, message.message);
}

void write_header(ByteWriter& out, const DhcpMessage& message) {
  out.u8(static_cast<std::uint8_t>(message.operation));
  out.u8(kHardwareEthernet);
  out.u8(kMacSize);
  out.u8(message.hops);
  out.u32(message.transaction_id);
  out.u16(message.seconds);
  out.u16(message.broadcast ? kBroadcastFlag : std::uint16_t{0});
  for (const IpAddress& address : {message.client_address, message.your_address,
                                   message.server_address, message.gateway_address}) {
    out.bytes(address.v4_octets());
  }
  out.bytes(message.client_mac.octets);
  out.zeros(kHardwareAddressSize - kMacSize + kServerNameSize + kFileSize);
  out.u32(kCookie);
}

}  // namespace

std::expected<DhcpMessage, ParseError> DhcpMessage::parse(ByteView udp_payload) {
  constexpr std::size_t kFixedSize = kHeaderSize + 4;
  if (udp_payload.size() < kFixedSize) return std::unexpected(ParseError::kTruncated);
  const FixedView<kFixedSize> header = udp_payload.first<kFixedSize>();
  if (be32<kHeaderSize>(header) != kCookie) return std::unexpected(ParseError::kUnsupported);
  if (header[1] != kHardwareEthernet || header[2] != kMacSize) {
    return std::unexpected(ParseError::kUnsupported);
  }
  DhcpMessage message;
  message.operation = DhcpOperation{header[0]};
  if (message.operation != DhcpOperation::kRequest && message.operation != DhcpOperation::kReply) {
    return std::unexpected(ParseError::kMalformed);
  }
  message.hops = header[3];
  message.transaction_id = be32<4>(header);
  message.seconds = be16<8>(header);
  message.broadcast = (be16<10>(header) & kBroadcastFlag) != 0;
  message.client_address = IpAddress::v4(header.subspan<12, 4>());
  message.your_address = IpAddress::v4(header.subspan<16, 4>());
  message.server_address = IpAddress::v4(header.subspan<20, 4>());
  message.gateway_address = IpAddress::v4(header.subspan<24, 4>());
  message.client_mac = load_mac(header.subspan<28, kMacSize>());

  Options options;
  if (auto done = collect_options(udp_payload.subspan(kFixedSize), options); !done) {
    return std::unexpected(done.error());
  }
  if (auto done = collect_overloaded(udp_payload, options); !done) {
    return std::unexpected(done.error());
  }
  const OptionReader reader(options);
  const ByteView type = reader.bytes(DhcpOption::kMessageType);
  if (type.empty()) return std::unexpected(ParseError::kUnsupported);
  if (type.size() != 1) return std::unexpected(ParseError::kBadLength);
  if (type[0] < static_cast<std::uint8_t>(DhcpMessageType::kDiscover) ||
      type[0] > static_cast<std::uint8_t>(DhcpMessageType::kInform)) {
    return std::unexpected(ParseError::kUnsupported);
  }
  message.type = DhcpMessageType{type[0]};
  read_options(reader, message);
  return message;
}

std::optional<std::size_t> DhcpMessage::emit(MutableBytes out) const {
  ByteWriter writer(out);
  write_header(writer, *this);
  write_options(OptionWriter(writer), *this);
  writer.u8(static_cast<std::uint8_t>(DhcpOption::kEnd));
  if (writer.size() < kSizeMin) writer.zeros(kSizeMin - writer.size());
  return writer.finish();
}

}  // namespace sluice::wire
