#include "policy/access_list.h"

#include <algorithm>
#include <utility>

namespace sluice::policy {
namespace {

constexpr std::string_view kWild = "*?";
constexpr std::string_view kOfAddresses = "0123456789abcdef.:";
constexpr std::string_view kMappedPrefix = "::ffff:";

// Addresses are written in ASCII; the locale has no say.
std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// What to compare with texts of addresses. They never show IPv4 as mapped.
std::string wildcard_of(std::string_view text) {
  std::string wildcard = lower(text);
  if (wildcard.starts_with(kMappedPrefix) && wildcard.find('.') != std::string::npos &&
      wildcard.find_first_not_of("0123456789.*?", kMappedPrefix.size()) == std::string::npos) {
    wildcard.erase(0, kMappedPrefix.size());
  }
  return wildcard;
}

// Only the last star is ever tried again: whatever an earlier one could take more, the last can
// take instead. So each character of the pattern meets each of `text` once, and an address's text
// has 45 characters at most.
bool matches_wildcard(std::string_view pattern, std::string_view text) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;  // The last one met,
  std::size_t taken_to = 0;                   // and where in `text` what it takes ends.
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken_to = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++taken_to;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

// A client's address and, from the first wildcard on, its text.
struct Client {
  const wire::IpAddress& address;
  std::string text{};
};

bool any_matches(const std::vector<AddressPattern>& patterns, Client& client) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const AddressPattern& pattern) {
    if (pattern.is_wildcard() && client.text.empty()) client.text = wire::to_string(client.address);
    return pattern.matches(client.address, client.text);
  });
}

Access decide_by(const AccessList& list, Client& client) {
  if (!list.allow.empty() && !any_matches(list.allow, client)) return Access::kNotAllowed;
  if (any_matches(list.deny, client)) return Access::kDenied;
  return Access::kAllowed;
}

std::unexpected<AddressPattern::Error> expected(std::string_view what) {
  return std::unexpected(AddressPattern::Error{std::string(what)});
}

}  // namespace

std::expected<AddressPattern, AddressPattern::Error> AddressPattern::parse(std::string_view text) {
  if (text.size() > kTextSizeMax) return expected("at most 128 characters");
  if (text.find_first_of(kWild) != std::string_view::npos) {
    std::string what = wildcard_of(text);
    if (what.find('/') != std::string::npos) {
      return expected("either wildcards as 10.1.* or a prefix length as 10.1.0.0/16, not both");
    }
    const std::size_t strange = what.find_first_not_of(std::string(kOfAddresses).append(kWild));
    if (strange != std::string::npos) {
      return expected(
          "digits, '.', ':', '*' and '?' as 192.168.1.* or 2001:db8:*; names of hosts "
          "cannot be matched");
    }
    return AddressPattern(text, std::move(what));
  }
  const auto prefix = wire::parse_prefix(text);
  if (prefix) return AddressPattern(text, *prefix);
  if (prefix.error() == wire::AddressError::kPrefixLength) {
    return expected("a prefix length from 0 to 32 (IPv4) or from 0 to 128 (IPv6)");
  }
  return expected(
      "an address, a prefix as 10.0.0.0/8, or wildcards as 192.168.1.*; names of hosts "
      "cannot be matched");
}

AddressPattern AddressPattern::wildcard(std::string_view text) {
  return AddressPattern(text, wildcard_of(text));
}

bool AddressPattern::matches(const wire::IpAddress& address, std::string_view text) const {
  if (const auto* prefix = std::get_if<wire::Prefix>(&what_)) return prefix->contains(address);
  return matches_wildcard(std::get<std::string>(what_), text);
}

Access decide_access(const AccessList& global, const AccessList& own,
                     const wire::IpAddress& client) {
  Client asking{client};
  const Access by_global = decide_by(global, asking);
  return by_global == Access::kAllowed ? decide_by(own, asking) : by_global;
}

}  // namespace sluice::policy
