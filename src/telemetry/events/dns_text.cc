#include "telemetry/events/dns_text.h"

#include <fmt/core.h>

#include <array>
#include <charconv>
#include <span>

namespace sluice::telemetry {
namespace {

struct Word {
  std::uint16_t number;
  std::string_view text;
};

constexpr std::array kTypes{
    Word{1, "A"},     Word{2, "NS"},    Word{5, "CNAME"},  Word{6, "SOA"},   Word{12, "PTR"},
    Word{15, "MX"},   Word{16, "TXT"},  Word{28, "AAAA"},  Word{33, "SRV"},  Word{35, "NAPTR"},
    Word{41, "OPT"},  Word{43, "DS"},   Word{46, "RRSIG"}, Word{47, "NSEC"}, Word{48, "DNSKEY"},
    Word{52, "TLSA"}, Word{64, "SVCB"}, Word{65, "HTTPS"}, Word{99, "SPF"},  Word{252, "AXFR"},
    Word{255, "ANY"}, Word{257, "CAA"},
};
constexpr std::array kRcodes{
    Word{0, "NOERROR"},  Word{1, "FORMERR"}, Word{2, "SERVFAIL"},
    Word{3, "NXDOMAIN"}, Word{4, "NOTIMP"},  Word{5, "REFUSED"},
};

std::string text_of(std::span<const Word> words, std::string_view other, std::uint16_t number) {
  for (const Word& word : words) {
    if (word.number == number) return std::string(word.text);
  }
  return fmt::format("{}{}", other, number);
}

std::optional<std::uint16_t> number_of(std::span<const Word> words, std::string_view other,
                                       std::string_view text) {
  for (const Word& word : words) {
    if (word.text == text) return word.number;
  }
  if (!text.starts_with(other)) return std::nullopt;
  text.remove_prefix(other.size());
  std::uint16_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return number;
}

}  // namespace

std::string dns_type_text(wire::DnsType type) {
  return text_of(kTypes, "TYPE", static_cast<std::uint16_t>(type));
}

std::optional<std::uint16_t> dns_type_number(std::string_view text) {
  return number_of(kTypes, "TYPE", text);
}

std::string dns_rcode_text(wire::DnsRcode rcode) {
  return text_of(kRcodes, "RCODE", static_cast<std::uint16_t>(rcode));
}

std::optional<std::uint16_t> dns_rcode_number(std::string_view text) {
  return number_of(kRcodes, "RCODE", text);
}

}  // namespace sluice::telemetry
