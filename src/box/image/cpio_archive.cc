#include "box/image/cpio_archive.h"

#include <sys/stat.h>

#include <array>
#include <cstdio>

namespace sluice::box {
namespace {

constexpr std::size_t kHeaderSize = 110;
constexpr std::string_view kTrailer = "TRAILER!!!";

void pad(std::vector<std::uint8_t>& bytes) { bytes.resize((bytes.size() + 3) / 4 * 4); }

}  // namespace

void CpioArchive::folder(std::string_view path) {
  if (path.empty() || folders_.contains(path)) return;
  folders_above(path);
  folders_.emplace(path);
  add({.path = path, .mode = S_IFDIR | 0755});
}

void CpioArchive::file(std::string_view path, ByteView content, std::uint32_t permissions) {
  folders_above(path);
  add({.path = path, .mode = S_IFREG | permissions, .content = content});
}

void CpioArchive::character_device(std::string_view path, std::uint32_t major,
                                   std::uint32_t minor) {
  folders_above(path);
  add({.path = path, .mode = S_IFCHR | 0600, .device_major = major, .device_minor = minor});
}

std::vector<std::uint8_t> CpioArchive::finish() && {
  add({.path = kTrailer});
  return std::move(bytes_);
}

void CpioArchive::folders_above(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash != std::string_view::npos) folder(path.substr(0, slash));
}

void CpioArchive::add(const Entry& entry) {
  const bool is_folder = S_ISDIR(entry.mode);
  // Number, mode, owner, group, links, time, size, device of the file, device that it is, length of
  // the name with its zero, checksum (of "crc" archives only).
  const std::array<std::uint32_t, 13> numbers = {++count_,
                                                 entry.mode,
                                                 0,
                                                 0,
                                                 is_folder ? 2U : 1U,
                                                 0,
                                                 static_cast<std::uint32_t>(entry.content.size()),
                                                 0,
                                                 0,
                                                 entry.device_major,
                                                 entry.device_minor,
                                                 static_cast<std::uint32_t>(entry.path.size() + 1),
                                                 0};
  std::string head = "070701";
  head.reserve(kHeaderSize);
  for (const std::uint32_t number : numbers) {
    std::array<char, 9> digits{};
    std::snprintf(digits.data(), digits.size(), "%08X", number);
    head.append(digits.data(), 8);
  }
  bytes_.insert(bytes_.end(), head.begin(), head.end());
  bytes_.insert(bytes_.end(), entry.path.begin(), entry.path.end());
  bytes_.push_back(0);
  pad(bytes_);
  bytes_.insert(bytes_.end(), entry.content.begin(), entry.content.end());
  pad(bytes_);
}

}  // namespace sluice::box
