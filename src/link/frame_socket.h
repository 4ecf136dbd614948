// The socket of a link to a machine: made under a path, or handed to us. Set-up only: reading and
// writing frames is socket_link.h's.
#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "sys/kernel.h"
#include "sys/setup_error.h"
#include "sys/unix_socket.h"

namespace sluice::link {

enum class FrameSocketKind : std::uint8_t {
  kStream,     // Lengths before frames (stream_channel.h).
  kSeqpacket,  // A frame is a packet (packet_channel.h), as it is for the next.
  kDatagram,
};

struct FrameSocket {
  sys::KernelFd socket;  // Non-blocking, close-on-exec.
  FrameSocketKind kind = FrameSocketKind::kStream;
  bool listens = false;    // For connections; else frames come by this socket itself.
  bool connected = false;  // It has its peer already.
};

// Listens, or takes datagrams, at `path`. Its file is its owner's only; one that nobody listens on
// is replaced, and removed by whoever makes a sys::BoundPath of it. '@' first stands for the
// abstract namespace.
[[nodiscard]] std::expected<FrameSocket, sys::SetupError> open_frame_socket(
    sys::Kernel& kernel, FrameSocketKind kind, const std::string& path);

// A descriptor that whoever started us has left open: what it is, is found by asking it. It is ours
// from here on.
[[nodiscard]] std::expected<FrameSocket, sys::SetupError> take_frame_socket(sys::Kernel& kernel,
                                                                            int fd);

}  // namespace sluice::link
