// The attributes of a netlink message, one after another (libmnl's own loop is a macro for C).
#pragma once

#include <libmnl/libmnl.h>

#include <cstddef>
#include <optional>

#include "wire/address.h"

namespace sluice::netlink {

// `header_size` is that of the message's own header, which stands before the attributes.
template <typename Visitor>
void for_each_attribute(const nlmsghdr& message, std::size_t header_size, Visitor&& visit) {
  const std::size_t size = mnl_nlmsg_get_payload_len(&message);
  const std::size_t begin = MNL_ALIGN(header_size);
  if (size < begin) return;
  const auto* attribute =
      static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(&message, header_size));
  auto left = static_cast<int>(size - begin);
  while (left > 0 && mnl_attr_ok(attribute, left)) {
    visit(*attribute);
    left -= static_cast<int>(MNL_ALIGN(attribute->nla_len));
    attribute = mnl_attr_next(attribute);
  }
}

// An address of four or sixteen bytes.
[[nodiscard]] inline std::optional<wire::IpAddress> address_in(const nlattr& attribute) {
  const auto* bytes = static_cast<const std::uint8_t*>(mnl_attr_get_payload(&attribute));
  const std::size_t size = mnl_attr_get_payload_len(&attribute);
  if (size == 4) return wire::IpAddress::v4(FixedView<4>(bytes, 4));
  if (size == 16) return wire::IpAddress::v6(FixedView<16>(bytes, 16));
  return std::nullopt;
}

}  // namespace sluice::netlink
