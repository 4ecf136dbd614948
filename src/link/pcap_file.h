// Writes frames to a file that tcpdump and wireshark read: libpcap's format with nanoseconds,
// LINKTYPE_ETHERNET, whole frames (the super-frames of segmentation offload pass 64 KiB).
//
// Frames gather in a buffer; a frame larger than what is left of it goes out with the buffer in
// one writev(2), without being copied. After the first write error nothing more is written, and
// take_error() tells it once. Not thread-safe.
#pragma once

#include <sys/uio.h>

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "sys/sys_error.h"

namespace sluice::link {

class PcapFile {
 public:
  using WallTime = std::chrono::system_clock::time_point;

  // Replaces what `path` held.
  [[nodiscard]] static std::expected<PcapFile, sys::SysError> open(const std::string& path);
  explicit PcapFile(UniqueFd fd);

  // One Ethernet frame: `header`, then `payload` piece by piece. Whatever is beyond kSnapLength is
  // cut, and the record says so. pcap has no field for the direction: the MAC addresses tell it.
  void frame(WallTime time, ByteView header, std::span<const iovec> payload);
  void flush();

  // The error that ended the capture, on the first call after it; else nothing.
  [[nodiscard]] std::optional<sys::SysError> take_error();

  static constexpr std::uint32_t kSnapLength = 262'144;  // As tcpdump has it.

 private:
  static constexpr std::size_t kBufferSize = 256 * 1024;
  static constexpr std::size_t kPiecesMax = 64;

  void append(ByteView bytes);
  void append_frame(ByteView header, std::span<const iovec> payload, std::size_t length);
  void write_frame(ByteView header, std::span<const iovec> payload, std::size_t length);
  void write_out(std::span<iovec> pieces);

  UniqueFd fd_;  // Invalid after an error.
  std::vector<std::uint8_t> buffer_;
  std::optional<sys::SysError> error_;
};

}  // namespace sluice::link
