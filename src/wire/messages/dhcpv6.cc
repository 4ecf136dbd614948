#include "wire/messages/dhcpv6.h"

#include <algorithm>

#include "wire/byte_cursor.h"

namespace sluice::wire {
namespace {

constexpr std::size_t kAddressSize = 16;

// Calls `handle(code, data)` for each option; it returns an error to stop, or nothing.
template <typename Handle>
std::expected<void, ParseError> for_each_option(ByteView bytes, const Handle& handle) {
  ByteReader in(bytes);
  while (!in.empty()) {
    const Dhcpv6Option code{in.u16()};
    const std::size_t length = in.u16();
    const ByteView data = in.take(length);
    if (!in.ok()) return std::unexpected(ParseError::kTruncated);
    std::expected<void, ParseError> handled = handle(code, data);
    if (!handled) return handled;
  }
  return {};
}

std::optional<Dhcpv6Status> read_status(ByteView data) {
  ByteReader in(data);
  const Dhcpv6StatusCode code{in.u16()};
  if (!in.ok()) return std::nullopt;
  return Dhcpv6Status{code, std::string(in.rest().begin(), in.rest().end())};
}

std::expected<void, ParseError> read_ia_address(ByteView data, Dhcpv6IaNa& ia) {
  ByteReader in(data);
  const ByteView octets = in.take(kAddressSize);
  Dhcpv6Address address;
  address.preferred_seconds = in.u32();
  address.valid_seconds = in.u32();
  if (!in.ok() || ia.addresses.size() == Dhcpv6Message::kAddressesMax) return {};
  address.address = IpAddress::v6(octets.first<kAddressSize>());
  auto walked = for_each_option(
      in.rest(), [&address](Dhcpv6Option code, ByteView value) -> std::expected<void, ParseError> {
        if (code == Dhcpv6Option::kStatusCode) address.status = read_status(value);
        return {};
      });
  if (!walked) return walked;
  ia.addresses.push_back(std::move(address));
  return {};
}

std::expected<void, ParseError> read_ia_na(ByteView data, Dhcpv6Message& message) {
  ByteReader in(data);
  Dhcpv6IaNa ia;
  ia.id = in.u32();
  ia.t1_seconds = in.u32();
  ia.t2_seconds = in.u32();
  if (!in.ok() || message.ia_nas.size() == Dhcpv6Message::kIaNaMax) return {};
  auto walked = for_each_option(
      in.rest(), [&ia](Dhcpv6Option code, ByteView value) -> std::expected<void, ParseError> {
        if (code == Dhcpv6Option::kIaAddress) return read_ia_address(value, ia);
        if (code == Dhcpv6Option::kStatusCode) ia.status = read_status(value);
        return {};
      });
  if (!walked) return walked;
  message.ia_nas.push_back(std::move(ia));
  return {};
}

std::vector<IpAddress> read_addresses(ByteView data) {
  std::vector<IpAddress> list;
  if (data.size() % kAddressSize != 0) return list;
  for (; !data.empty(); data = data.subspan(kAddressSize)) {
    list.push_back(IpAddress::v6(data.first<kAddressSize>()));
  }
  return list;
}

std::vector<std::uint16_t> read_codes(ByteView data) {
  std::vector<std::uint16_t> list;
  if (data.size() % 2 != 0) return list;
  for (; !data.empty(); data = data.subspan(2)) list.push_back(be16<0>(data.first<2>()));
  return list;
}

std::expected<void, ParseError> read_option(Dhcpv6Option code, ByteView data,
                                            Dhcpv6Message& message) {
  if (code == Dhcpv6Option::kIaNa) return read_ia_na(data, message);
  if (code == Dhcpv6Option::kClientId) {
    message.client_id.assign(data.begin(), data.end());
  } else if (code == Dhcpv6Option::kServerId) {
    message.server_id.assign(data.begin(), data.end());
  } else if (code == Dhcpv6Option::kOptionRequest) {
    message.option_request = read_codes(data);
  } else if (code == Dhcpv6Option::kDnsServers) {
    message.dns_servers = read_addresses(data);
  } else if (code == Dhcpv6Option::kDomainList) {
    auto names = read_name_list(data, Compression::kForbidden);
    if (names) message.domain_list = *std::move(names);
  } else if (code == Dhcpv6Option::kFullName && data.size() > 1) {
    // RFC 4704, 4: flags, and the name.
    const auto name = read_name(data.subspan(1), 0);
    if (name) message.full_name = name->name;
  } else if (code == Dhcpv6Option::kStatusCode) {
    message.status = read_status(data);
  } else if (code == Dhcpv6Option::kPreference && data.size() == 1) {
    message.preference = data[0];
  } else if (code == Dhcpv6Option::kElapsedTime && data.size() == 2) {
    message.elapsed_centiseconds = be16<0>(data.first<2>());
  } else if (code == Dhcpv6Option::kRapidCommit && data.empty()) {
    message.rapid_commit = true;
  }
  return {};
}

// Writes an option's header now and its length when it goes.
class OptionScope {
 public:
  OptionScope(ByteWriter& out, Dhcpv6Option code) : out_(out) {
    out_.u16(static_cast<std::uint16_t>(code));
    out_.u16(0);
    start_ = out_.size();
  }
  OptionScope(const OptionScope&) = delete;
  OptionScope& operator=(const OptionScope&) = delete;
  ~OptionScope() {
    const std::size_t length = out_.size() - start_;
    if (length > 0xffff) out_.fail();
    if (out_.ok()) out_.patch16(start_ - 2, static_cast<std::uint16_t>(length));
  }

 private:
  ByteWriter& out_;
  std::size_t start_;
};

void write_bytes(ByteWriter& out, Dhcpv6Option code, ByteView data) {
  if (data.empty()) return;
  const OptionScope scope(out, code);
  out.bytes(data);
}

void write_status(ByteWriter& out, const std::optional<Dhcpv6Status>& status) {
  if (!status) return;
  const OptionScope scope(out, Dhcpv6Option::kStatusCode);
  out.u16(static_cast<std::uint16_t>(status->code));
  out.text(status->message);
}

void write_ia_na(ByteWriter& out, const Dhcpv6IaNa& ia) {
  const OptionScope scope(out, Dhcpv6Option::kIaNa);
  out.u32(ia.id);
  out.u32(ia.t1_seconds);
  out.u32(ia.t2_seconds);
  for (const Dhcpv6Address& address : ia.addresses) {
    const OptionScope inner(out, Dhcpv6Option::kIaAddress);
    out.bytes(address.address.octets());
    out.u32(address.preferred_seconds);
    out.u32(address.valid_seconds);
    write_status(out, address.status);
  }
  write_status(out, ia.status);
}

void write_lists(ByteWriter& out, const Dhcpv6Message& message) {
  if (!message.option_request.empty()) {
    const OptionScope scope(out, Dhcpv6Option::kOptionRequest);
    for (const std::uint16_t code : message.option_request) out.u16(code);
  }
  if (!message.dns_servers.empty()) {
    const OptionScope scope(out, Dhcpv6Option::kDnsServers);
    for (const IpAddress& server : message.dns_servers) out.bytes(server.octets());
  }
  if (!message.domain_list.empty()) {
    const OptionScope scope(out, Dhcpv6Option::kDomainList);
    for (const DomainName& name : message.domain_list) write_name(out, name);
  }
  if (message.full_name) {
    const OptionScope scope(out, Dhcpv6Option::kFullName);
    out.u8(0);
    write_name(out, *message.full_name);
  }
}

}  // namespace

std::expected<Dhcpv6Message, ParseError> Dhcpv6Message::parse(ByteView udp_payload) {
  constexpr std::size_t kHeaderSize = 4;
  if (udp_payload.size() < kHeaderSize) return std::unexpected(ParseError::kTruncated);
  const std::uint32_t first = be32<0>(udp_payload.first<kHeaderSize>());
  Dhcpv6Message message;
  message.type = Dhcpv6MessageType{static_cast<std::uint8_t>(first >> 24)};
  message.transaction_id = first & 0xff'ffffU;
  if (message.type < Dhcpv6MessageType::kSolicit ||
      message.type > Dhcpv6MessageType::kInformationRequest) {
    return std::unexpected(ParseError::kUnsupported);
  }
  const auto walked = for_each_option(
      udp_payload.subspan(kHeaderSize),
      [&message](Dhcpv6Option code, ByteView data) { return read_option(code, data, message); });
  if (!walked) return std::unexpected(walked.error());
  return message;
}

std::optional<std::size_t> Dhcpv6Message::emit(MutableBytes out) const {
  ByteWriter writer(out);
  writer.u32((static_cast<std::uint32_t>(type) << 24) | (transaction_id & 0xff'ffffU));
  write_bytes(writer, Dhcpv6Option::kClientId, client_id);
  write_bytes(writer, Dhcpv6Option::kServerId, server_id);
  for (const Dhcpv6IaNa& ia : ia_nas) write_ia_na(writer, ia);
  write_lists(writer, *this);
  write_status(writer, status);
  if (preference) write_bytes(writer, Dhcpv6Option::kPreference, ByteView(&*preference, 1));
  if (elapsed_centiseconds) {
    const OptionScope scope(writer, Dhcpv6Option::kElapsedTime);
    writer.u16(*elapsed_centiseconds);
  }
  if (rapid_commit) const OptionScope scope(writer, Dhcpv6Option::kRapidCommit);
  return writer.finish();
}

std::vector<std::uint8_t> make_duid_ll(const MacAddress& mac) {
  constexpr std::uint8_t kDuidLinkLayer = 3;
  constexpr std::uint8_t kHardwareEthernet = 1;
  std::vector<std::uint8_t> duid(4 + mac.octets.size());
  duid[1] = kDuidLinkLayer;
  duid[3] = kHardwareEthernet;
  std::ranges::copy(mac.octets, duid.begin() + 4);
  return duid;
}

}  // namespace sluice::wire
