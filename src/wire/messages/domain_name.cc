#include "wire/messages/domain_name.h"

#include <fmt/core.h>

namespace sluice::wire {
namespace {

constexpr std::uint8_t kPointerBits = 0xc0;

constexpr std::uint8_t lower(std::uint8_t octet) {
  return octet >= 'A' && octet <= 'Z' ? static_cast<std::uint8_t>(octet | 0x20) : octet;
}

// Label lengths are below 'A', so folding whole names leaves them alone.
static_assert(kLabelSizeMax < 'A');
bool equal_names(ByteView a, ByteView b) { return std::ranges::equal(a, b, {}, lower, lower); }

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Reads one octet of a label that may be escaped; advances `at`.
std::optional<std::uint8_t> text_octet(std::string_view text, std::size_t& at) {
  const char c = text[at++];
  if (c != '\\') return static_cast<std::uint8_t>(c);
  if (at >= text.size()) return std::nullopt;
  if (!is_digit(text[at])) return static_cast<std::uint8_t>(text[at++]);
  unsigned value = 0;
  for (int digits = 0; digits < 3; ++digits, ++at) {
    if (at >= text.size() || !is_digit(text[at])) return std::nullopt;
    value = value * 10 + static_cast<unsigned>(text[at] - '0');
  }
  if (value > 0xff) return std::nullopt;
  return static_cast<std::uint8_t>(value);
}

}  // namespace

bool DomainName::append(ByteView label) {
  if (label.empty() || label.size() > kLabelSizeMax) return false;
  if (size_ + label.size() + 1 > kDomainNameSizeMax) return false;
  octets_[size_ - 1U] = static_cast<std::uint8_t>(label.size());
  std::ranges::copy(label, octets_.begin() + size_);
  size_ = static_cast<std::uint8_t>(size_ + label.size() + 1);
  octets_[size_ - 1U] = 0;
  return true;
}

std::optional<DomainName> DomainName::from_text(std::string_view text) {
  DomainName name;
  if (text == ".") return name;
  if (text.empty()) return std::nullopt;
  std::array<std::uint8_t, kLabelSizeMax> label{};
  std::size_t length = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '.') {
      if (!name.append(ByteView(label).first(length))) return std::nullopt;
      length = 0;
      ++at;
      continue;
    }
    const auto octet = text_octet(text, at);
    if (!octet || length == kLabelSizeMax) return std::nullopt;
    label[length++] = *octet;
  }
  if (length > 0 && !name.append(ByteView(label).first(length))) return std::nullopt;
  return name;
}

std::string DomainName::to_text() const {
  if (is_root()) return ".";
  std::string text;
  for (std::size_t at = 0; octets_[at] != 0; at += octets_[at] + std::size_t{1}) {
    if (!text.empty()) text += '.';
    for (const std::uint8_t octet : wire().subspan(at + 1, octets_[at])) {
      if (octet == '.' || octet == '\\') {
        text += '\\';
        text += static_cast<char>(octet);
      } else if (octet > 0x20 && octet < 0x7f) {
        text += static_cast<char>(octet);
      } else {
        text += fmt::format("\\{:03}", octet);
      }
    }
  }
  return text;
}

bool operator==(const DomainName& a, const DomainName& b) {
  return equal_names(a.wire(), b.wire());
}

bool DomainName::is_within(const DomainName& suffix) const {
  for (std::size_t at = 0; size_ - at >= suffix.size_; at += octets_[at] + std::size_t{1}) {
    if (size_ - at == suffix.size_) return equal_names(wire().subspan(at), suffix.wire());
  }
  return false;
}

std::expected<DecodedName, ParseError> read_name(ByteView message, std::size_t offset,
                                                 std::size_t names_from) {
  DecodedName result;
  bool jumped = false;
  // Each pointer must lead to before the place where this run of labels began (RFC 1035 speaks of a
  // prior occurrence), so the runs move strictly backwards and the walk ends.
  std::size_t run_start = offset;
  for (std::size_t at = offset;;) {
    if (at >= message.size()) return std::unexpected(ParseError::kTruncated);
    const std::uint8_t length = message[at];
    if (length == 0) {
      if (!jumped) result.next = at + 1;
      return result;
    }
    if ((length & kPointerBits) == kPointerBits) {
      if (message.size() - at < 2) return std::unexpected(ParseError::kTruncated);
      const std::size_t target = be16<0>(message.subspan(at).first<2>()) & 0x3fffU;
      if (target >= run_start || target < names_from)
        return std::unexpected(ParseError::kMalformed);
      if (!jumped) result.next = at + 2;
      jumped = true;
      run_start = target;
      at = target;
      continue;
    }
    if ((length & kPointerBits) != 0) return std::unexpected(ParseError::kMalformed);
    if (message.size() - at - 1 < length) return std::unexpected(ParseError::kTruncated);
    if (!result.name.append(message.subspan(at + 1, length))) {
      return std::unexpected(ParseError::kBadLength);
    }
    at += std::size_t{length} + 1;
  }
}

std::expected<std::vector<DomainName>, ParseError> read_name_list(ByteView bytes,
                                                                  Compression compression) {
  std::vector<DomainName> names;
  for (std::size_t at = 0; at < bytes.size() && names.size() < kNameListMax;) {
    auto decoded = read_name(bytes, at);
    if (!decoded) return std::unexpected(decoded.error());
    // A name that takes fewer bytes here than it has was compressed.
    if (compression == Compression::kForbidden &&
        decoded->next - at != decoded->name.wire().size()) {
      return std::unexpected(ParseError::kMalformed);
    }
    at = decoded->next;
    if (!decoded->name.is_root()) names.push_back(decoded->name);
  }
  return names;
}

}  // namespace sluice::wire
