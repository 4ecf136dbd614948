// IPv4 addresses in IPv6 clothes: what a translator, a relay or a tunnel would make of an IPv6
// address. Whoever judges an IPv6 address judges these too, or a rule for IPv4 is passed by.
//
//   ::a.b.c.d                      IPv4-compatible      RFC 4291, 2.5.5.1
//   ::ffff:0:a.b.c.d               IPv4-translated      RFC 2765, 2.1
//   64:ff9b::a.b.c.d               NAT64                RFC 6052, 2.1
//   64:ff9b:1::/48                 NAT64, local use     RFC 8215: the /48, /56, /64 and /96 of it
//   2002:AABB:CCDD::/48            6to4                 RFC 3056, 2
//   2001:0:SSSS:SSSS:…:XXXX:XXXX   Teredo               RFC 4380, 4: the server, and the client
//   …:[02]00:5efe:a.b.c.d          ISATAP               RFC 5214, 6.1
//   a NAT64 prefix of the network  the caller's         RFC 6052, 2.2
//
// IPv4-mapped addresses (::ffff:a.b.c.d) are IPv4 addresses everywhere in this program.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "wire/address.h"

namespace sluice::wire {

class EmbeddedV4 {
 public:
  // Of the forms above none but the last brings more than four.
  static constexpr std::size_t kMax = 16;

  // `nat64` are prefixes of the network, each of a length that is_nat64_length().
  explicit EmbeddedV4(const IpAddress& address, std::span<const Prefix> nat64 = {});

  [[nodiscard]] const IpAddress* begin() const { return found_.data(); }
  [[nodiscard]] const IpAddress* end() const { return found_.data() + count_; }
  [[nodiscard]] bool empty() const { return count_ == 0; }

 private:
  void add(const IpAddress& v4);
  void add_local_use_nat64(const IpAddress& address);

  std::array<IpAddress, kMax> found_{};
  std::size_t count_ = 0;
};

}  // namespace sluice::wire
