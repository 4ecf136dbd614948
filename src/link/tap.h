// Opens a tap device (Documentation/networking/tuntap.rst) with virtio-net headers and
// offloads, as far as the kernel grants them.
//
// Set-up only: reading and writing frames is tap_link.h's. Works in the network namespace of the
// calling thread; the descriptors stay good when handed to a process elsewhere.
//
// With several queues the kernel sends a flow's frames to the queue by which we last wrote one of
// that flow's, for three seconds; others, and those beyond 4096 flows, to any by their hash
// (drivers/net/tun.c, tun_automq_select_queue()). So each queue needs its reader: what is sent to
// one that nobody reads stays there, and is dropped once it is full.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "sys/setup_error.h"

namespace sluice::link {

// The kernel has 256 (MAX_TAP_QUEUES), which is more than there are processors to read them.
inline constexpr std::size_t kMaxTapQueues = 64;

struct TapOptions {
  bool vnet_header = true;
  bool offloads = true;    // Only with vnet_header.
  std::size_t queues = 1;  // At least one, kMaxTapQueues at most.
};

// What the kernel granted. With checksum, frames of the guest may come without one, and ours may
// leave it to the kernel; with tso4, tso6 and uso the guest's frames may exceed the MTU.
struct TapFeatures {
  std::uint8_t vnet_header_size = 0;  // 0 or 12 bytes before each frame.
  bool checksum = false;
  bool tso4 = false;
  bool tso6 = false;
  bool tso_ecn = false;
  bool uso = false;  // UDP segmentation, IPv4 and IPv6 (Linux 6.2 and later).

  // One number and back, to cross a process boundary.
  [[nodiscard]] std::uint64_t pack() const;
  [[nodiscard]] static TapFeatures unpack(std::uint64_t packed);
  friend bool operator==(const TapFeatures&, const TapFeatures&) = default;
};

struct Tap {
  std::string name;              // As the kernel has it.
  std::vector<UniqueFd> queues;  // Non-blocking, close-on-exec; at least one.
  TapFeatures features;
};

enum class TapStep : std::uint8_t {
  kName,
  kQueues,
  kOpenDevice,
  kCreate,
  kOwner,
  kHeaderSize,
  kAdopt
};

// What to tell of a step that failed with this errno, and how to mend it.
[[nodiscard]] sys::SetupError setup_error_of(TapStep step, int error);

// Whether open_tap() failed as there is no such device here, or we may not use it.
[[nodiscard]] bool has_no_device(const sys::SetupError& error);

// `name` as the interface shall be called, at most 15 bytes. An interface with several queues takes
// more of them from anybody in its namespace: forbid_more_queues() before anybody is there.
[[nodiscard]] std::expected<Tap, sys::SetupError> open_tap(const std::string& name,
                                                           const TapOptions& options = {});

// A queue of a tap that somebody else has opened, wherever its interface is: non-blocking from here
// on, with headers and offloads if it was opened for headers.
[[nodiscard]] std::expected<TapFeatures, sys::SetupError> adopt_tap(const UniqueFd& queue);

// From here on only who may change the interface (CAP_NET_ADMIN in its namespace) can open another
// queue of it, send frames as if we had, and take those of others: not the user that the command
// has, where that is the caller's. For a process outside of the user namespace that was made for
// the guest, which knows no user but that.
[[nodiscard]] std::expected<void, sys::SetupError> forbid_more_queues(const UniqueFd& queue);

}  // namespace sluice::link
