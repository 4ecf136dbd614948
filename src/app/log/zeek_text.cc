#include "app/log/zeek_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace sluice::app::zeek {

std::string head(std::string_view path, std::span<const Field> fields) {
  std::string text = fmt::format(
      "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\t{}\n",
      path);
  text += "#fields";
  for (const Field& one : fields) text += fmt::format("\t{}", one.name);
  text += "\n#types";
  for (const Field& one : fields) text += fmt::format("\t{}", one.type);
  return text + "\n";
}

std::string field(std::string_view text) {
  if (text.empty()) return "-";
  if (text == "-") return "\\x2d";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::string seconds(std::chrono::nanoseconds time) {
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(time).count();
  return fmt::format("{}.{:06}", micros / 1'000'000, micros % 1'000'000);
}

std::string uid_of(std::uint64_t number) {
  constexpr std::string_view kDigits =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::string digits;
  for (; number > 0; number /= 62) digits.insert(digits.begin(), kDigits[number % 62]);
  return "C" + std::string(11 - std::min<std::size_t>(digits.size(), 11), '0') + digits;
}

}  // namespace sluice::app::zeek
