// An archive of the kind that Linux unpacks as its first file system: cpio "newc", as
// Documentation/driver-api/early-userspace/buffer-format.rst of the kernel has it. Pure.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace sluice::box {

// Collects entries; all belong to root. Paths have no leading slash; folders above are made.
class CpioArchive {
 public:
  void folder(std::string_view path);
  void file(std::string_view path, ByteView content, std::uint32_t permissions);
  // A character device, for a console before there is a devtmpfs.
  void character_device(std::string_view path, std::uint32_t major, std::uint32_t minor);

  // The archive. Nothing can be added behind it.
  [[nodiscard]] std::vector<std::uint8_t> finish() &&;

 private:
  struct Entry {
    std::string_view path;
    std::uint32_t mode = 0;
    ByteView content = {};
    std::uint32_t device_major = 0;
    std::uint32_t device_minor = 0;
  };
  void folders_above(std::string_view path);
  void add(const Entry& entry);

  std::vector<std::uint8_t> bytes_;
  std::set<std::string, std::less<>> folders_;
  std::uint32_t count_ = 0;
};

}  // namespace sluice::box
