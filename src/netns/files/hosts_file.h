// /etc/hosts (hosts(5)) as the guest sees it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "wire/address.h"

namespace sluice::netns {

// The text with the machine's own name, and what else stands on its lines but localhost, leading to
// `addresses` and nowhere else: a program that binds to its host's name finds an address it has.
[[nodiscard]] std::string hosts_with(std::string_view text, std::string_view name,
                                     std::span<const wire::IpAddress> addresses);

}  // namespace sluice::netns
