// Random values of wire types for properties. They are what emit() can express: what a message
// leaves out, such as empty options, is never generated with content of its own.
#pragma once

#include <rapidcheck.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "wire/address.h"
#include "wire/messages/domain_name.h"

namespace sluice::wire::random {

using Bytes = std::vector<std::uint8_t>;

template <typename T>
T any() {
  return *rc::gen::arbitrary<T>();
}

// In [low, high].
template <typename T>
T between(T low, T high) {
  return *rc::gen::resize(100, rc::gen::inRange<T>(low, static_cast<T>(high + 1)));
}

inline Bytes bytes(std::size_t size_min, std::size_t size_max) {
  const auto size = between<std::size_t>(size_min, size_max);
  return *rc::gen::container<Bytes>(size, rc::gen::arbitrary<std::uint8_t>());
}

inline IpAddress v4() { return IpAddress::v4(any<std::uint32_t>()); }

inline IpAddress v6() {
  auto octets =
      *rc::gen::container<std::array<std::uint8_t, 16>>(rc::gen::arbitrary<std::uint8_t>());
  octets[0] = 0xfd;  // Neither mapped IPv4 nor multicast.
  return IpAddress::v6(octets);
}

inline MacAddress mac() {
  return {*rc::gen::container<std::array<std::uint8_t, 6>>(rc::gen::arbitrary<std::uint8_t>())};
}

inline Port port() { return {any<std::uint16_t>()}; }

template <typename Make>
auto maybe(const Make& make) -> std::optional<decltype(make())> {
  if (any<bool>()) return make();
  return std::nullopt;
}

template <typename Make>
auto list(std::size_t size_max, const Make& make) -> std::vector<decltype(make())> {
  std::vector<decltype(make())> items;
  const auto size = between<std::size_t>(0, size_max);
  for (std::size_t i = 0; i < size; ++i) items.push_back(make());
  return items;
}

// One to four labels of any bytes; never the root, which lists of names do not hold.
inline DomainName domain_name() {
  DomainName name;
  const auto labels = between<std::size_t>(1, 4);
  for (std::size_t i = 0; i < labels; ++i) {
    const Bytes label = bytes(1, 62);
    if (!name.append(label)) RC_FAIL("four labels of 62 bytes fit a name");
  }
  return name;
}

inline std::string text(std::size_t size_max) {
  std::string value;
  for (const std::uint8_t octet : bytes(0, size_max)) {
    if (octet != 0) value += static_cast<char>(octet);
  }
  return value;
}

inline std::optional<std::uint16_t> maybe_u16() { return maybe(any<std::uint16_t>); }
inline std::optional<std::uint32_t> maybe_u32() { return maybe(any<std::uint32_t>); }

}  // namespace sluice::wire::random
