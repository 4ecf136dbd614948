#include "link/pcap_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice::link {
namespace {

// pcap files are in the byte order of the machine that wrote them: readers tell it by the magic.
struct FileHeader {
  std::uint32_t magic = 0xa1b2'3c4d;  // Nanoseconds; 0xa1b2c3d4 would be microseconds.
  std::uint16_t version_major = 2;
  std::uint16_t version_minor = 4;
  std::uint32_t time_zone = 0;
  std::uint32_t time_accuracy = 0;
  std::uint32_t snap_length = PcapFile::kSnapLength;
  std::uint32_t link_type = 1;  // LINKTYPE_ETHERNET
};
static_assert(sizeof(FileHeader) == 24);

struct RecordHeader {
  std::uint32_t seconds = 0;
  std::uint32_t nanoseconds = 0;
  std::uint32_t captured = 0;
  std::uint32_t original = 0;
};
static_assert(sizeof(RecordHeader) == 16);

template <typename T>
ByteView bytes_of(const T& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof(T)};
}

iovec piece_of(ByteView bytes) {
  return {.iov_base = const_cast<std::uint8_t*>(bytes.data()), .iov_len = bytes.size()};
}

ByteView view_of(const iovec& piece) {
  return {static_cast<const std::uint8_t*>(piece.iov_base), piece.iov_len};
}

}  // namespace

std::expected<PcapFile, sys::SysError> PcapFile::open(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return std::unexpected(sys::last_error(sys::SysOp::kOpen));
  PcapFile file(std::move(fd));
  // A full disk is told now, not in the middle of the work; and a reader may follow the file.
  file.flush();
  if (const auto error = file.take_error()) return std::unexpected(*error);
  return file;
}

PcapFile::PcapFile(UniqueFd fd) : fd_(std::move(fd)) {
  buffer_.reserve(kBufferSize);
  const FileHeader header;
  append(bytes_of(header));
}

void PcapFile::append(ByteView bytes) { buffer_.insert(buffer_.end(), bytes.begin(), bytes.end()); }

void PcapFile::frame(WallTime time, ByteView header, std::span<const iovec> payload) {
  if (!fd_.valid()) return;
  std::size_t original = header.size();
  for (const iovec& piece : payload) original += piece.iov_len;
  const std::size_t captured = std::min<std::size_t>(original, kSnapLength);

  const auto since = std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch());
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  const RecordHeader record{.seconds = static_cast<std::uint32_t>(seconds.count()),
                            .nanoseconds = static_cast<std::uint32_t>((since - seconds).count()),
                            .captured = static_cast<std::uint32_t>(captured),
                            .original = static_cast<std::uint32_t>(original)};
  if (buffer_.size() + sizeof(record) > kBufferSize) flush();
  append(bytes_of(record));
  if (buffer_.size() + captured <= kBufferSize) {
    append_frame(header, payload, captured);
  } else {
    write_frame(header, payload, captured);
  }
}

void PcapFile::append_frame(ByteView header, std::span<const iovec> payload, std::size_t length) {
  const ByteView kept = header.first(std::min(header.size(), length));
  append(kept);
  length -= kept.size();
  for (const iovec& piece : payload) {
    const ByteView bytes = view_of(piece).first(std::min(piece.iov_len, length));
    append(bytes);
    length -= bytes.size();
  }
}

void PcapFile::write_frame(ByteView header, std::span<const iovec> payload, std::size_t length) {
  std::array<iovec, kPiecesMax> pieces{};
  std::size_t count = 0;
  const auto add = [&](ByteView bytes) {
    const ByteView kept = bytes.first(std::min(bytes.size(), length));
    length -= kept.size();
    if (kept.empty()) return;
    if (count == pieces.size()) {
      write_out(pieces);
      count = 0;
    }
    pieces[count++] = piece_of(kept);
  };
  // What is in the buffer is not part of the frame's length.
  pieces[count++] = piece_of(buffer_);
  add(header);
  for (const iovec& piece : payload) add(view_of(piece));
  write_out(std::span(pieces).first(count));
  buffer_.clear();
}

void PcapFile::flush() {
  if (buffer_.empty() || !fd_.valid()) return;
  std::array<iovec, 1> pieces{piece_of(buffer_)};
  write_out(pieces);
  buffer_.clear();
}

void PcapFile::write_out(std::span<iovec> pieces) {
  while (!pieces.empty() && fd_.valid()) {
    const ssize_t written = ::writev(fd_.get(), pieces.data(), static_cast<int>(pieces.size()));
    if (written < 0) {
      if (errno == EINTR) continue;
      error_ = sys::last_error(sys::SysOp::kWrite);
      fd_.reset();
      return;
    }
    auto done = static_cast<std::size_t>(written);
    while (!pieces.empty() && done >= pieces[0].iov_len) {
      done -= pieces[0].iov_len;
      pieces = pieces.subspan(1);
    }
    if (!pieces.empty()) {
      pieces[0].iov_base = static_cast<std::uint8_t*>(pieces[0].iov_base) + done;
      pieces[0].iov_len -= done;
    }
  }
}

std::optional<sys::SysError> PcapFile::take_error() { return std::exchange(error_, {}); }

}  // namespace sluice::link
