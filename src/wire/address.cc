#include "wire/address.h"

#include <arpa/inet.h>
#include <fmt/core.h>

#include <charconv>

namespace sluice::wire {
namespace {

// The family's own bits of an address begin here in its 16 octets.
std::size_t first_octet(const IpAddress& address) { return address.is_v4() ? 12 : 0; }
std::uint8_t bits_of(const IpAddress& address) { return address.is_v4() ? 32 : 128; }

// The bits of octet `index` (counted in the address's own octets) that a prefix covers.
std::uint8_t mask_octet(std::uint8_t length, std::size_t index) {
  const std::size_t before = index * 8;
  if (length <= before) return 0;
  const std::size_t bits = std::min<std::size_t>(length - before, 8);
  return static_cast<std::uint8_t>(0xff00U >> bits);
}

// Digits only, the whole text, no sign and no space.
template <typename T>
bool parse_decimal(std::string_view text, T& value) {
  if (text.empty() || text[0] < '0' || text[0] > '9') return false;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && stop == text.data() + text.size();
}

// The ::ffff: in front of an IPv4 address stays, so that it stays IPv4 even for /0.
IpAddress clear_host_bits(const IpAddress& address, std::uint8_t length) {
  std::array<std::uint8_t, 16> octets{};
  const FixedView<16> from = address.octets();
  std::copy(from.begin(), from.end(), octets.begin());
  const std::size_t first = first_octet(address);
  for (std::size_t i = first; i < octets.size(); ++i) {
    octets[i] = static_cast<std::uint8_t>(octets[i] & mask_octet(length, i - first));
  }
  return IpAddress::v6(octets);
}

std::expected<Port, AddressError> parse_port(std::string_view text) {
  std::uint16_t value = 0;
  if (parse_decimal(text, value)) return Port{value};
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
  return std::unexpected(digits ? AddressError::kPortRange : AddressError::kMalformed);
}

}  // namespace

bool IpAddress::is_unspecified() const {
  return *this == IpAddress() || *this == IpAddress::v4(std::uint32_t{0});
}

bool IpAddress::is_loopback() const {
  if (is_v4()) return octets_[12] == 127;
  return std::all_of(octets_.begin(), octets_.end() - 1, [](std::uint8_t o) { return o == 0; }) &&
         octets_[15] == 1;
}

bool IpAddress::is_multicast() const {
  return is_v4() ? (octets_[12] & 0xf0) == 0xe0 : octets_[0] == 0xff;
}

bool IpAddress::is_link_local() const {
  if (is_v4()) return octets_[12] == 169 && octets_[13] == 254;
  return octets_[0] == 0xfe && (octets_[1] & 0xc0) == 0x80;
}

bool IpAddress::is_v4_broadcast() const { return *this == IpAddress::v4(0xffff'ffffU); }

bool Prefix::contains(const IpAddress& other) const {
  if (address.family() != other.family()) return false;
  const FixedView<16> ours = address.octets();
  const FixedView<16> theirs = other.octets();
  const std::size_t first = first_octet(address);
  for (std::size_t i = first; i < 16; ++i) {
    if (((ours[i] ^ theirs[i]) & mask_octet(length, i - first)) != 0) return false;
  }
  return true;
}

std::expected<IpAddress, AddressError> parse_ip(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> zero_ended{};
  if (text.size() >= zero_ended.size() || text.find('\0') != text.npos) {
    return std::unexpected(AddressError::kMalformed);
  }
  std::copy(text.begin(), text.end(), zero_ended.begin());
  std::array<std::uint8_t, 16> octets{};
  if (inet_pton(AF_INET6, zero_ended.data(), octets.data()) == 1) return IpAddress::v6(octets);
  if (inet_pton(AF_INET, zero_ended.data(), octets.data()) == 1) {
    return IpAddress::v4(FixedView<16>(octets).first<4>());
  }
  return std::unexpected(AddressError::kMalformed);
}

std::expected<MacAddress, AddressError> parse_mac(std::string_view text) {
  constexpr std::size_t kTextSize = 17;
  if (text.size() != kTextSize) return std::unexpected(AddressError::kMalformed);
  MacAddress mac;
  for (std::size_t i = 0; i < mac.octets.size(); ++i) {
    const std::string_view digits = text.substr(i * 3, 2);
    const auto [stop, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), mac.octets[i], 16);
    const bool separated = i + 1 == mac.octets.size() || text[i * 3 + 2] == ':';
    if (error != std::errc{} || stop != digits.data() + digits.size() || !separated) {
      return std::unexpected(AddressError::kMalformed);
    }
  }
  return mac;
}

std::expected<Prefix, AddressError> parse_prefix(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = parse_ip(text.substr(0, slash));
  if (!address) return std::unexpected(address.error());
  std::uint8_t length = bits_of(*address);
  if (slash != text.npos &&
      (!parse_decimal(text.substr(slash + 1), length) || length > bits_of(*address))) {
    return std::unexpected(AddressError::kPrefixLength);
  }
  return Prefix{clear_host_bits(*address, length), length};
}

std::expected<Endpoint, AddressError> parse_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) return std::unexpected(AddressError::kMalformed);
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  // Without brackets the last group of an IPv6 address would pass for a port.
  if (!bracketed && host.find(':') != host.npos) return std::unexpected(AddressError::kMalformed);
  const auto address = parse_ip(host);
  if (!address) return std::unexpected(address.error());
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return std::unexpected(port.error());
  return Endpoint{*address, *port};
}

std::string to_string(const MacAddress& mac) {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", mac.octets[0], mac.octets[1],
                     mac.octets[2], mac.octets[3], mac.octets[4], mac.octets[5]);
}

std::string to_string(const IpAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const FixedView<16> octets = address.octets();
  const bool v4 = address.is_v4();
  inet_ntop(v4 ? AF_INET : AF_INET6, octets.data() + first_octet(address), text.data(),
            static_cast<socklen_t>(text.size()));
  return text.data();
}

std::string to_string(const Prefix& prefix) {
  return fmt::format("{}/{}", to_string(prefix.address), prefix.length);
}

std::string to_string(const Endpoint& endpoint) {
  const std::string address = to_string(endpoint.address);
  if (endpoint.address.is_v4()) return fmt::format("{}:{}", address, endpoint.port.value);
  return fmt::format("[{}]:{}", address, endpoint.port.value);
}

}  // namespace sluice::wire
