#include "wire/transport/proxy_protocol.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <string_view>

#include "wire/byte_cursor.h"

namespace sluice::wire {
namespace {

constexpr std::array<std::uint8_t, 12> kV2Signature{0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                                    0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
constexpr std::size_t kV2HeaderSize = 16;
constexpr std::string_view kV1Start = "PROXY ";

constexpr std::uint8_t kFamilyInet = 1;
constexpr std::uint8_t kFamilyInet6 = 2;
constexpr std::uint8_t kFamilyUnix = 3;
constexpr std::uint16_t kInetSize = 12;
constexpr std::uint16_t kInet6Size = 36;
constexpr std::size_t kUnixSize = 216;

bool is_v4_pair(const ProxyHeader& header) {
  return header.source.address.is_v4() && header.destination.address.is_v4();
}

// The text up to the next space, which is removed as well.
std::string_view next_word(std::string_view& line) {
  const std::size_t space = line.find(' ');
  const std::string_view word = line.substr(0, space);
  line = space == line.npos ? std::string_view() : line.substr(space + 1);
  return word;
}

std::optional<Port> parse_v1_port(std::string_view text) {
  const bool leading_zero = text.size() > 1 && text[0] == '0';
  std::uint16_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || leading_zero || error != std::errc{} || stop != text.data() + text.size()) {
    return std::nullopt;
  }
  return Port{value};
}

std::optional<IpAddress> parse_v1_address(std::string_view text, bool v6) {
  // The text tells the family, not the value: TCP6 may carry ::ffff:192.0.2.1.
  if ((text.find(':') != text.npos) != v6) return std::nullopt;
  const auto address = parse_ip(text);
  if (!address) return std::nullopt;
  return *address;
}

std::expected<ParsedProxyHeader, ParseError> parse_v1_line(std::string_view line) {
  ParsedProxyHeader parsed{.header = {.version = ProxyVersion::kV1}, .size = line.size() + 2};
  line.remove_prefix(kV1Start.size());
  const bool has_fields = line.find(' ') != line.npos;
  const std::string_view family = next_word(line);
  // The receiver must ignore what follows UNKNOWN.
  if (family == "UNKNOWN") return parsed;
  const bool v6 = family == "TCP6";
  if ((!v6 && family != "TCP4") || !has_fields) return std::unexpected(ParseError::kMalformed);
  const auto source = parse_v1_address(next_word(line), v6);
  const auto destination = parse_v1_address(next_word(line), v6);
  const auto source_port = parse_v1_port(next_word(line));
  const auto destination_port = parse_v1_port(line);
  if (!source || !destination || !source_port || !destination_port) {
    return std::unexpected(ParseError::kMalformed);
  }
  parsed.header.transport = ProxyTransport::kStream;
  parsed.header.source = {*source, *source_port};
  parsed.header.destination = {*destination, *destination_port};
  return parsed;
}

std::expected<ParsedProxyHeader, ParseError> parse_v1(ByteView bytes) {
  std::array<char, kProxyV1SizeMax> text{};
  const ByteView start = bytes.first(std::min(bytes.size(), text.size()));
  std::ranges::transform(start, text.begin(), [](std::uint8_t c) { return static_cast<char>(c); });
  const std::string_view line(text.data(), start.size());
  const std::size_t end = line.find("\r\n");
  if (end != line.npos) return parse_v1_line(line.substr(0, end));
  return std::unexpected(line.size() < kProxyV1SizeMax ? ParseError::kTruncated
                                                       : ParseError::kBadLength);
}

// Reads the address block of a PROXY command into `parsed` and leaves the TLVs in `body`.
std::expected<void, ParseError> parse_v2_addresses(std::uint8_t family, ByteView& body,
                                                   ProxyHeader& header) {
  const auto take = [&body](std::size_t size) {
    const ByteView block = body.first(std::min(size, body.size()));
    body = body.subspan(block.size());
    return block;
  };
  if (family == kFamilyInet) {
    const ByteView block = take(kInetSize);
    if (block.size() < kInetSize) return std::unexpected(ParseError::kBadLength);
    const FixedView<kInetSize> at = block.first<kInetSize>();
    header.source = {IpAddress::v4(at.subspan<0, 4>()), Port{be16<8>(at)}};
    header.destination = {IpAddress::v4(at.subspan<4, 4>()), Port{be16<10>(at)}};
  } else if (family == kFamilyInet6) {
    const ByteView block = take(kInet6Size);
    if (block.size() < kInet6Size) return std::unexpected(ParseError::kBadLength);
    const FixedView<kInet6Size> at = block.first<kInet6Size>();
    header.source = {IpAddress::v6(at.subspan<0, 16>()), Port{be16<32>(at)}};
    header.destination = {IpAddress::v6(at.subspan<16, 16>()), Port{be16<34>(at)}};
  } else if (family == kFamilyUnix) {
    if (take(kUnixSize).size() < kUnixSize) return std::unexpected(ParseError::kBadLength);
    header.transport = ProxyTransport::kUnspecified;
  } else {
    // AF_UNSPEC: the receiver ignores whatever addresses there are, so where TLVs begin is unknown.
    body = {};
    header.transport = ProxyTransport::kUnspecified;
  }
  return {};
}

std::expected<ParsedProxyHeader, ParseError> parse_v2(ByteView bytes) {
  if (bytes.size() < kV2HeaderSize) return std::unexpected(ParseError::kTruncated);
  const FixedView<kV2HeaderSize> fixed = bytes.first<kV2HeaderSize>();
  if (fixed[12] >> 4 != 2) return std::unexpected(ParseError::kBadVersion);
  const unsigned command = fixed[12] & 0xfU;
  const std::uint8_t family = fixed[13] >> 4;
  const unsigned transport = fixed[13] & 0xfU;
  if (command > 1 || family > kFamilyUnix || transport > 2) {
    return std::unexpected(ParseError::kMalformed);
  }
  const std::size_t length = be16<14>(fixed);
  if (bytes.size() - kV2HeaderSize < length) return std::unexpected(ParseError::kTruncated);

  ParsedProxyHeader parsed{.header = {.version = ProxyVersion::kV2},
                           .size = kV2HeaderSize + length};
  parsed.header.command = static_cast<ProxyCommand>(command);
  // LOCAL: the receiver must discard the addresses.
  if (parsed.header.command == ProxyCommand::kLocal) return parsed;
  ByteView body = bytes.subspan(kV2HeaderSize, length);
  const bool has_transport = transport != 0;
  parsed.header.transport = static_cast<ProxyTransport>(transport);
  const auto read =
      parse_v2_addresses(has_transport ? family : std::uint8_t{0}, body, parsed.header);
  if (!read) return std::unexpected(read.error());
  parsed.tlvs = body;
  return parsed;
}

std::string v1_text(const IpAddress& address, bool v6) {
  const std::string text = to_string(address);
  return v6 && address.is_v4() ? "::ffff:" + text : text;
}

void write_v1(ByteWriter& out, const ProxyHeader& header) {
  out.text(kV1Start);
  if (header.command == ProxyCommand::kLocal || header.transport != ProxyTransport::kStream) {
    out.text("UNKNOWN\r\n");
    return;
  }
  const bool v6 = !is_v4_pair(header);
  out.text(v6 ? "TCP6 " : "TCP4 ");
  out.text(v1_text(header.source.address, v6));
  out.text(" ");
  out.text(v1_text(header.destination.address, v6));
  out.text(" ");
  out.text(std::to_string(header.source.port.value));
  out.text(" ");
  out.text(std::to_string(header.destination.port.value));
  out.text("\r\n");
}

// `tlvs`: bytes of them, which the caller writes behind it.
void write_v2(ByteWriter& out, const ProxyHeader& header, std::size_t tlvs = 0) {
  out.bytes(kV2Signature);
  out.u8(static_cast<std::uint8_t>(0x20U | static_cast<unsigned>(header.command)));
  if (header.command == ProxyCommand::kLocal || header.transport == ProxyTransport::kUnspecified) {
    out.u8(0);
    out.u16(0);
    return;
  }
  const bool v4 = is_v4_pair(header);
  const unsigned family = v4 ? kFamilyInet : kFamilyInet6;
  out.u8(static_cast<std::uint8_t>(family << 4 | static_cast<unsigned>(header.transport)));
  out.u16(static_cast<std::uint16_t>((v4 ? kInetSize : kInet6Size) + tlvs));
  for (const Endpoint& endpoint : {header.source, header.destination}) {
    if (v4) {
      out.bytes(endpoint.address.v4_octets());
    } else {
      out.bytes(endpoint.address.octets());
    }
  }
  out.u16(header.source.port.value);
  out.u16(header.destination.port.value);
}

}  // namespace

std::expected<ParsedProxyHeader, ParseError> parse_proxy_header(ByteView bytes) {
  const auto begins = [bytes](auto&& expected) {
    const std::size_t count = std::min(bytes.size(), std::size(expected));
    return std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count),
                      std::begin(expected),
                      [](auto a, auto b) { return a == static_cast<std::uint8_t>(b); });
  };
  if (bytes.empty()) return std::unexpected(ParseError::kTruncated);
  if (begins(kV2Signature)) {
    return parse_v2(bytes);
  }
  if (begins(kV1Start)) {
    if (bytes.size() < kV1Start.size()) return std::unexpected(ParseError::kTruncated);
    return parse_v1(bytes);
  }
  return std::unexpected(ParseError::kMalformed);
}

std::size_t proxy_header_size(ByteView bytes) {
  if (bytes.size() < kV2HeaderSize) return 0;
  if (!std::ranges::equal(bytes.first(kV2Signature.size()), kV2Signature)) return 0;
  return kV2HeaderSize + (std::size_t{bytes[14]} << 8U) + bytes[15];
}

std::optional<std::size_t> emit_proxy_header(const ProxyHeader& header, MutableBytes out) {
  ByteWriter writer(out);
  if (header.version == ProxyVersion::kV1) {
    write_v1(writer, header);
  } else {
    write_v2(writer, header);
  }
  return writer.finish();
}

std::optional<std::size_t> emit_proxy_header(const ProxyHeader& header, std::string_view authority,
                                             MutableBytes out) {
  constexpr std::size_t kTlvHeader = 3;
  const bool stream =
      header.command == ProxyCommand::kProxy && header.transport == ProxyTransport::kStream;
  if (authority.empty() || authority.size() > kProxyAuthorityMax || !stream) return std::nullopt;
  ByteWriter writer(out);
  write_v2(writer, header, kTlvHeader + authority.size());
  writer.u8(kProxyTlvAuthority);
  writer.u16(static_cast<std::uint16_t>(authority.size()));
  writer.text(authority);
  return writer.finish();
}

}  // namespace sluice::wire
