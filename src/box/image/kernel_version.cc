#include "box/image/kernel_version.h"

#include <algorithm>
#include <string_view>

namespace sluice::box {
namespace {

// Documentation/x86/boot.rst: the setup header, and the pointer to a text that begins with the
// version, which counts from 0x200.
constexpr std::size_t kMagicAt = 0x202;
constexpr std::size_t kVersionPointerAt = 0x20e;
constexpr std::size_t kPointerBase = 0x200;
constexpr std::size_t kVersionMax = 64;  // Of struct utsname.

bool has_text(ByteView file, std::size_t at, std::string_view text) {
  return file.size() >= at + text.size() &&
         std::equal(text.begin(), text.end(), file.begin() + static_cast<std::ptrdiff_t>(at),
                    [](char c, std::uint8_t byte) { return static_cast<std::uint8_t>(c) == byte; });
}

// What stands there up to a blank; empty where it cannot be a version.
std::string word_at(ByteView file, std::size_t at) {
  std::string word;
  for (; at < file.size() && word.size() <= kVersionMax; ++at) {
    const char c = static_cast<char>(file[at]);
    if (c == ' ' || c == '\0' || c == '\n') return word;
    if (c < '!' || c > '~' || c == '/') return "";  // It becomes part of a path.
    word += c;
  }
  return "";
}

}  // namespace

std::string version_of_kernel(ByteView file) {
  if (has_text(file, kMagicAt, "HdrS")) {
    if (file.size() < kVersionPointerAt + 2) return "";
    const std::size_t pointer =
        std::size_t{file[kVersionPointerAt]} | (std::size_t{file[kVersionPointerAt + 1]} << 8);
    return pointer == 0 ? "" : word_at(file, pointer + kPointerBase);
  }
  if (!has_text(file, 0,
                "\x7f"
                "ELF"))
    return "";
  static constexpr std::string_view kBanner = "Linux version ";
  auto rest = file;
  while (true) {
    const auto found = std::ranges::search(rest, kBanner, {}, {},
                                           [](char c) { return static_cast<std::uint8_t>(c); });
    if (found.empty()) return "";
    rest = rest.subspan(static_cast<std::size_t>(found.end() - rest.begin()));
    // Formats for printing it begin alike.
    if (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') return word_at(rest, 0);
  }
}

}  // namespace sluice::box
