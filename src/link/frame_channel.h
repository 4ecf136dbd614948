// How frames travel through one socket at a time: with their lengths in a stream
// (stream_channel.h), or each as a packet (packet_channel.h). Who owns the socket attaches it and
// takes it away; a channel keeps what is between two calls: a frame that has come in part, and
// frames that the socket does not take.
//
// Whoever speaks like this counts as a machine's monitor, which vouches for what it sends: some
// leave checksums unfinished, as the guest was offered that, and have no header to say so. All
// frames are marked as if they had come with one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "link/frame_queue.h"
#include "wire/link/frame_batch.h"

namespace sluice::link {

// An Ethernet header, and what the longest that any monitor sends has: an IP packet of 65,535
// bytes, a VLAN tag and some room. QEMU's own bound (NET_BUFSIZE) is the same.
inline constexpr std::size_t kFrameMin = 14;
inline constexpr std::size_t kFrameMax = 68 * 1024;

inline constexpr wire::VirtioNetHeader kVouchedFor{.flags = wire::VirtioNetHeader::kDataValid};

// Why nothing more comes from this socket.
struct ChannelEnd {
  enum class Why : std::uint8_t { kClosed, kError, kBadLength };
  Why why = Why::kClosed;
  int error = 0;             // kError: errno.
  std::uint32_t length = 0;  // kBadLength: what stood there.
};

class FrameChannel {
 public:
  struct Read {
    bool drained = true;               // The socket has no more, as far as is known.
    bool nameless = false;             // Something came from a peer that cannot be answered.
    std::optional<std::string> met{};  // A peer that was not known before, by its address.
    std::optional<ChannelEnd> end{};
    int refused = 0;  // errno of what was sent to a peer that is known no more.
  };

  // What is kept of frames that a socket does not take: more than a link that has_room() is given.
  static constexpr std::size_t kQueueMax = 1024 * 1024;

  FrameChannel() = default;
  FrameChannel(const FrameChannel&) = delete;
  FrameChannel& operator=(const FrameChannel&) = delete;
  virtual ~FrameChannel() = default;

  // Another socket; nothing that was kept for the one before goes there. Not owned.
  virtual void attach(int fd) = 0;
  // One call of the kernel's. The frames are valid until the next; they come before the end.
  [[nodiscard]] virtual Read read(std::vector<wire::FrameIn>& frames) = 0;
  // As Link::write().
  [[nodiscard]] virtual std::size_t write(const wire::FrameBatch& batch) = 0;
  // Sends of what waits as much as the socket takes. Whether any of it went.
  virtual bool flush() = 0;
  // The socket counts as writable and takes nothing: has it count so no more, until it does.
  virtual void await_peer() {}
  // In bytes.
  [[nodiscard]] virtual std::size_t waiting() const = 0;
};

}  // namespace sluice::link
