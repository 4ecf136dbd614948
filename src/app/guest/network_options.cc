#include "app/guest/network_options.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/options/number_option.h"

namespace sluice::app {
namespace {

using flow::GuestNetwork;
using wire::IpAddress;
using wire::IpFamily;

std::string_view name_of(IpFamily family) { return family == IpFamily::kV4 ? "IPv4" : "IPv6"; }

// What was given for one family; nothing is filled in yet.
struct FamilyRequest {
  std::optional<IpAddress> guest;
  std::uint8_t prefix_length = 0;
  std::optional<IpAddress> gateway;
  std::optional<IpAddress> dns;
};

struct Requests {
  FamilyRequest v4;
  FamilyRequest v6;
  [[nodiscard]] FamilyRequest& of(const IpAddress& a) { return a.is_v4() ? v4 : v6; }
};

std::expected<void, Mistake> read_guest_addresses(const std::vector<std::string>& texts,
                                                  Requests& requests) {
  for (const std::string& text : texts) {
    const std::size_t slash = text.find('/');
    const auto address = wire::parse_ip(std::string_view(text).substr(0, slash));
    if (!address || slash == std::string::npos) {
      return fail(
          "--address: '{}' is not an address with its prefix; expected IP/LENGTH as 10.0.2.15/24",
          text);
    }
    if (address->is_unspecified() || address->is_loopback() || address->is_multicast() ||
        address->is_link_local() || address->is_v4_broadcast()) {
      return fail("--address: '{}' cannot be a guest's address; expected one as 10.0.2.15/24",
                  text);
    }
    // Two host bits at least: the guest, the gateway, and in IPv4 the two ends of the range.
    const std::uint8_t longest = address->is_v4() ? 30 : 126;
    const auto length = parse_number<std::uint8_t>(
        "--address", std::string_view(text).substr(slash + 1), 1, longest);
    if (!length) {
      return fail("--address: '{}' has no usable prefix length; expected 1 to {}", text, longest);
    }
    FamilyRequest& request = requests.of(*address);
    if (request.guest) {
      return fail("--address: '{}' is a second {} address; expected one of each family", text,
                  name_of(address->family()));
    }
    request.guest = *address;
    request.prefix_length = *length;
  }
  return {};
}

std::expected<void, Mistake> read_addresses(std::string_view option,
                                            const std::vector<std::string>& texts,
                                            std::optional<IpAddress> FamilyRequest::* member,
                                            Requests& requests) {
  for (const std::string& text : texts) {
    const auto address = wire::parse_ip(text);
    if (!address) return fail("{}: '{}' is not an IP address", option, text);
    std::optional<IpAddress>& slot = requests.of(*address).*member;
    if (slot) {
      return fail("{}: '{}' is a second {} address; expected one of each family", option, text,
                  name_of(address->family()));
    }
    slot = *address;
  }
  return {};
}

// Everything that names an address of a family that is switched off.
std::expected<void, Mistake> check_family_is_on(const FamilyRequest& request, IpFamily family,
                                                std::string_view off_by) {
  const auto check = [&](std::string_view option,
                         const std::optional<IpAddress>& address) -> std::expected<void, Mistake> {
    if (!address) return {};
    return fail("{}: '{}' is {}, which {} switches off", option, wire::to_string(*address),
                name_of(family), off_by);
  };
  if (auto checked = check("--address", request.guest); !checked) return checked;
  if (auto checked = check("--gateway", request.gateway); !checked) return checked;
  return check("--dns", request.dns);
}

// The address `number` places into the subnet; `number` is small.
IpAddress nth_of(const wire::Prefix& subnet, std::uint8_t number) {
  std::array<std::uint8_t, 16> octets{};
  const auto base = subnet.address.octets();
  std::copy(base.begin(), base.end(), octets.begin());
  octets[15] = static_cast<std::uint8_t>(octets[15] | number);
  return IpAddress::v6(FixedView<16>(octets));
}

// The ends of an IPv4 subnet are its own address and its broadcast; IPv6 keeps the first for
// routers (RFC 4291, 2.6.1).
bool is_end_of(const wire::Prefix& subnet, const IpAddress& address) {
  if (address == subnet.address) return true;
  if (!address.is_v4()) return false;
  const std::uint32_t host_bits = 0xffff'ffffU >> subnet.length;
  return (address.v4_value() & host_bits) == host_bits;
}

struct Family {
  IpAddress guest;
  IpAddress gateway;
  IpAddress dns;
  std::uint8_t prefix_length = 0;
};

std::optional<IpAddress> first_free(const wire::Prefix& subnet, std::span<const IpAddress> taken) {
  // By custom the gateway is 2 and the resolver 3.
  for (const std::uint8_t number : std::to_array<std::uint8_t>({2, 3, 1, 4, 5, 6})) {
    const IpAddress candidate = nth_of(subnet, number);
    if (!subnet.contains(candidate) || is_end_of(subnet, candidate)) continue;
    if (std::find(taken.begin(), taken.end(), candidate) == taken.end()) return candidate;
  }
  return std::nullopt;
}

std::expected<void, Mistake> check_member(std::string_view option, const IpAddress& address,
                                          const wire::Prefix& subnet) {
  if (!subnet.contains(address)) {
    return fail("{}: '{}' is outside the guest's subnet {}; --address sets another", option,
                wire::to_string(address), wire::to_string(subnet));
  }
  if (is_end_of(subnet, address)) {
    return fail("{}: '{}' is the first or the last address of {}, which no host may have", option,
                wire::to_string(address), wire::to_string(subnet));
  }
  return {};
}

// Fills in what was not given, and checks that all fits together.
std::expected<void, Mistake> complete(const FamilyRequest& request, bool dns_relay,
                                      Family& family) {
  if (request.guest) {
    family.guest = *request.guest;
    family.prefix_length = request.prefix_length;
  }
  const wire::Prefix subnet = GuestNetwork::subnet(family.guest, family.prefix_length);
  if (auto ok = check_member("--address", family.guest, subnet); !ok) return ok;

  std::vector<IpAddress> taken{family.guest};
  const auto keep_given =
      [&](std::string_view option,
          const std::optional<IpAddress>& given) -> std::expected<void, Mistake> {
    if (!given) return {};
    if (auto ok = check_member(option, *given, subnet); !ok) return ok;
    if (std::find(taken.begin(), taken.end(), *given) != taken.end()) {
      return fail("{}: '{}' is taken; guest, gateway and DNS need an address each", option,
                  wire::to_string(*given));
    }
    taken.push_back(*given);
    return {};
  };
  if (auto ok = keep_given("--gateway", request.gateway); !ok) return ok;
  if (auto ok = keep_given("--dns", request.dns); !ok) return ok;

  const auto pick = [&](const std::optional<IpAddress>& given) {
    const auto chosen = given ? given : first_free(subnet, taken);
    if (chosen) taken.push_back(*chosen);
    return chosen;
  };
  const auto gateway = pick(request.gateway);
  const auto dns = dns_relay ? pick(request.dns) : request.dns;
  if (!gateway || (dns_relay && !dns)) {
    return fail("--address: {} has no room for guest, gateway and DNS; expected a shorter prefix{}",
                wire::to_string(subnet), dns_relay ? ", or --no-dns" : "");
  }
  family.gateway = *gateway;
  family.dns = dns.value_or(IpAddress{});
  return {};
}

std::expected<void, Mistake> read_link(const RawOptions& raw, GuestNetwork& network) {
  for (const std::string& text : raw.all(OptionId::kMac)) {
    const auto mac = wire::parse_mac(text);
    if (!mac) return fail("--mac: '{}' is not a MAC; expected one as 52:54:00:12:34:56", text);
    if (mac->is_multicast() || *mac == wire::MacAddress{} || *mac == network.gateway_mac) {
      return fail("--mac: '{}' cannot be a guest's; expected one as 52:54:00:12:34:56", text);
    }
    network.guest_mac = *mac;
  }
  for (const std::string& text : raw.all(OptionId::kMtu)) {
    const auto mtu = parse_number<std::uint16_t>("--mtu", text, kMtuMin, kMtuMax);
    if (!mtu) return std::unexpected(mtu.error());
    if (network.ipv6 && *mtu < kMtuMinV6) {
      return fail("--mtu: '{}' is too small for IPv6; expected {} to {}, or -4", text, kMtuMinV6,
                  kMtuMax);
    }
    network.mtu = *mtu;
  }
  return {};
}

}  // namespace

std::expected<GuestNetwork, Mistake> network_options(const RawOptions& raw,
                                                     std::uint16_t default_mtu) {
  Requests requests;
  if (auto ok = read_guest_addresses(raw.all(OptionId::kAddress), requests); !ok) {
    return std::unexpected(ok.error());
  }
  if (auto ok = read_addresses("--gateway", raw.all(OptionId::kGateway), &FamilyRequest::gateway,
                               requests);
      !ok) {
    return std::unexpected(ok.error());
  }
  if (auto ok = read_addresses("--dns", raw.all(OptionId::kDns), &FamilyRequest::dns, requests);
      !ok) {
    return std::unexpected(ok.error());
  }

  GuestNetwork network;
  network.mtu = default_mtu;
  network.dns = !raw.has(OptionId::kNoDns);
  network.ipv4 = !raw.has(OptionId::kOnlyV6);
  network.ipv6 = !raw.has(OptionId::kOnlyV4);
  if (!network.ipv4 && !network.ipv6) return fail("-4 and -6 exclude each other");
  if (!network.dns && raw.has(OptionId::kDns)) return fail("--dns and --no-dns exclude each other");

  if (!network.ipv4) {
    auto ok = check_family_is_on(requests.v4, IpFamily::kV4, "-6");
    if (!ok) return std::unexpected(ok.error());
  } else {
    Family v4{network.guest_v4, {}, {}, network.prefix_length_v4};
    if (auto ok = complete(requests.v4, network.dns, v4); !ok) return std::unexpected(ok.error());
    network.guest_v4 = v4.guest;
    network.gateway_v4 = v4.gateway;
    network.dns_v4 = v4.dns;
    network.prefix_length_v4 = v4.prefix_length;
  }
  if (!network.ipv6) {
    auto ok = check_family_is_on(requests.v6, IpFamily::kV6, "-4");
    if (!ok) return std::unexpected(ok.error());
  } else {
    Family v6{network.guest_v6, {}, {}, network.prefix_length_v6};
    if (auto ok = complete(requests.v6, network.dns, v6); !ok) return std::unexpected(ok.error());
    network.guest_v6 = v6.guest;
    network.gateway_v6 = v6.gateway;
    network.dns_v6 = v6.dns;
    network.prefix_length_v6 = v6.prefix_length;
  }
  if (auto ok = read_link(raw, network); !ok) return std::unexpected(ok.error());
  return network;
}

}  // namespace sluice::app
