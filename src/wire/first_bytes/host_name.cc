#include "wire/first_bytes/host_name.h"

#include <algorithm>

namespace sluice::wire {
namespace {

constexpr std::size_t kTextMax = 253;  // Of a name of 255 bytes in wire form.

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }
constexpr bool is_hexadecimal(char c) {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f');
}
constexpr bool is_letter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }
constexpr bool may_stand(char c) {
  return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '.';
}

[[nodiscard]] bool is_number(std::string_view label) {
  if (std::ranges::all_of(label, is_digit)) return true;
  const bool prefixed = label.size() >= 2 && label[0] == '0' && lower(label[1]) == 'x';
  return prefixed && std::ranges::all_of(label.substr(2), is_hexadecimal);
}

}  // namespace

std::optional<DomainName> host_name_from_text(std::string_view text) {
  if (text.empty() || text.size() > kTextMax || text.back() == '.') return std::nullopt;
  if (!std::ranges::all_of(text, may_stand)) return std::nullopt;
  const std::size_t dot = text.rfind('.');
  if (is_number(dot == std::string_view::npos ? text : text.substr(dot + 1))) return std::nullopt;
  return DomainName::from_text(text);
}

}  // namespace sluice::wire
