#include "link/tap.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/unreachable.h"

namespace sluice::link {
namespace {

constexpr const char* kDevice = "/dev/net/tun";

// A virtio-net header with num_buffers, as virtio 1 and vhost have it.
constexpr std::uint8_t kHeaderSize = 12;

// Linux 6.2; absent from older headers.
constexpr unsigned kUso4 = 0x20;
constexpr unsigned kUso6 = 0x40;

constexpr unsigned kTso = TUN_F_TSO4 | TUN_F_TSO6;

// From the best to none: the kernel takes a set as a whole or refuses it.
constexpr std::array kOffloadSets = {
    unsigned{TUN_F_CSUM | kTso | TUN_F_TSO_ECN | kUso4 | kUso6},
    unsigned{TUN_F_CSUM | kTso | TUN_F_TSO_ECN},
    unsigned{TUN_F_CSUM | kTso},
    unsigned{TUN_F_CSUM},
    0U,
};

void negotiate_offloads(int fd, TapFeatures& features) {
  for (const unsigned set : kOffloadSets) {
    if (::ioctl(fd, TUNSETOFFLOAD, static_cast<unsigned long>(set)) != 0) continue;
    features.checksum = (set & TUN_F_CSUM) != 0;
    features.tso4 = (set & TUN_F_TSO4) != 0;
    features.tso6 = (set & TUN_F_TSO6) != 0;
    features.tso_ecn = (set & TUN_F_TSO_ECN) != 0;
    features.uso = (set & kUso4) != 0;
    return;
  }
}

struct Failure {
  TapStep step = TapStep::kOpenDevice;
  int error = 0;
};

struct Queue {
  UniqueFd fd;
  std::string name;
};

std::expected<Queue, Failure> open_queue(const std::string& name, short flags) {
  UniqueFd fd(::open(kDevice, O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return std::unexpected(Failure{TapStep::kOpenDevice, errno});
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  request.ifr_flags = flags;
  if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) {
    return std::unexpected(Failure{TapStep::kCreate, errno});
  }
  return Queue{std::move(fd), request.ifr_name};
}

std::expected<Tap, Failure> open_with(const std::string& name, const TapOptions& options) {
  unsigned flags = IFF_TAP | IFF_NO_PI;
  if (options.vnet_header) flags |= IFF_VNET_HDR;
  if (options.queues > 1) flags |= IFF_MULTI_QUEUE;

  Tap tap{.name = name, .queues = {}, .features = {}};
  for (std::size_t i = 0; i < options.queues; ++i) {
    auto queue = open_queue(tap.name, static_cast<short>(flags));
    if (!queue) return std::unexpected(queue.error());
    const int fd = queue->fd.get();
    if (options.vnet_header) {
      int size = kHeaderSize;
      if (::ioctl(fd, TUNSETVNETHDRSZ, &size) != 0) {
        return std::unexpected(Failure{TapStep::kHeaderSize, errno});
      }
      tap.features.vnet_header_size = kHeaderSize;
      if (options.offloads) negotiate_offloads(fd, tap.features);
    }
    tap.name = std::move(queue->name);
    tap.queues.push_back(std::move(queue->fd));
  }
  return tap;
}

std::string step_text(TapStep step) {
  switch (step) {
    case TapStep::kName: return "interface name";
    case TapStep::kQueues: return "queues of a tap interface";
    case TapStep::kOpenDevice: return kDevice;
    case TapStep::kCreate: return std::string(kDevice) + ": create a tap interface";
    case TapStep::kOwner: return "give the tap an owner";
    case TapStep::kHeaderSize: return "set the size of the tap's header";
    case TapStep::kAdopt: return "take the descriptor of a tap";
  }
  unreachable("TapStep out of range");
}

std::string hint_for(TapStep step, int error) {
  switch (step) {
    case TapStep::kName: return "expected 1 to 15 bytes without '/', ':', '%' or blanks";
    case TapStep::kQueues: return "expected 1 to " + std::to_string(kMaxTapQueues);
    case TapStep::kOpenDevice:
      if (error == EACCES || error == EPERM) return "as root run: chmod 666 /dev/net/tun";
      if (error == ENOENT || error == ENODEV || error == ENXIO) {
        return "as root run: modprobe tun (and, if the file is still missing: mkdir -p /dev/net "
               "&& mknod -m 666 /dev/net/tun c 10 200)";
      }
      return "";
    case TapStep::kCreate:
      if (error == EPERM) return "the network namespace must be owned by the caller";
      if (error == EBUSY) return "an interface of this name exists; choose another";
      return "";
    case TapStep::kOwner: return "where the system knows one user only, let one worker do";
    case TapStep::kHeaderSize: return "";
    case TapStep::kAdopt:
      return "expected one of /dev/net/tun, with a tap interface without packet information "
             "(IFF_TAP and IFF_NO_PI)";
  }
  unreachable("TapStep out of range");
}

}  // namespace

std::uint64_t TapFeatures::pack() const {
  const std::uint64_t bits = (checksum ? 1U : 0U) | (tso4 ? 2U : 0U) | (tso6 ? 4U : 0U) |
                             (tso_ecn ? 8U : 0U) | (uso ? 16U : 0U);
  return (bits << 8) | vnet_header_size;
}

TapFeatures TapFeatures::unpack(std::uint64_t packed) {
  const std::uint64_t bits = packed >> 8;
  return {.vnet_header_size = static_cast<std::uint8_t>(packed & 0xffU),
          .checksum = (bits & 1U) != 0,
          .tso4 = (bits & 2U) != 0,
          .tso6 = (bits & 4U) != 0,
          .tso_ecn = (bits & 8U) != 0,
          .uso = (bits & 16U) != 0};
}

sys::SetupError setup_error_of(TapStep step, int error) {
  return {step_text(step), error, hint_for(step, error)};
}

bool has_no_device(const sys::SetupError& error) {
  constexpr std::array kReasons = {ENOENT, ENXIO, ENODEV, EACCES, EPERM};
  return error.step == kDevice && std::ranges::find(kReasons, error.error) != kReasons.end();
}

std::expected<Tap, sys::SetupError> open_tap(const std::string& name, const TapOptions& options) {
  // Net names that dev_valid_name() refuses, and "%", which would be a template.
  const bool dots = name == "." || name == "..";
  if (name.empty() || name.size() >= IFNAMSIZ || dots ||
      name.find_first_of("/:% \t\n\v\f\r") != std::string::npos) {
    return std::unexpected(setup_error_of(TapStep::kName, EINVAL));
  }
  if (options.queues == 0 || options.queues > kMaxTapQueues) {
    return std::unexpected(setup_error_of(TapStep::kQueues, EINVAL));
  }
  auto tap = open_with(name, options);
  const bool header_refused =
      !tap && options.vnet_header &&
      (tap.error().step == TapStep::kHeaderSize ||
       (tap.error().step == TapStep::kCreate && tap.error().error == EINVAL));
  // A kernel without virtio-net headers on tap: plain frames do.
  if (header_refused) {
    tap = open_with(name, {.vnet_header = false, .offloads = false, .queues = options.queues});
  }
  if (!tap) return std::unexpected(setup_error_of(tap.error().step, tap.error().error));
  return std::move(*tap);
}

std::expected<TapFeatures, sys::SetupError> adopt_tap(const UniqueFd& queue) {
  ifreq request{};
  if (::ioctl(queue.get(), TUNGETIFF, &request) != 0) {
    return std::unexpected(setup_error_of(TapStep::kAdopt, errno));
  }
  const auto flags = static_cast<unsigned short>(request.ifr_flags);
  if ((flags & IFF_TAP) == 0 || (flags & IFF_NO_PI) == 0) {
    return std::unexpected(setup_error_of(TapStep::kAdopt, EPROTOTYPE));
  }
  const int status = ::fcntl(queue.get(), F_GETFL);
  if (status < 0 || ::fcntl(queue.get(), F_SETFL, status | O_NONBLOCK) != 0) {
    return std::unexpected(setup_error_of(TapStep::kAdopt, errno));
  }
  TapFeatures features;
  if ((flags & IFF_VNET_HDR) == 0) return features;
  int size = kHeaderSize;
  if (::ioctl(queue.get(), TUNSETVNETHDRSZ, &size) != 0) {
    return std::unexpected(setup_error_of(TapStep::kHeaderSize, errno));
  }
  features.vnet_header_size = kHeaderSize;
  negotiate_offloads(queue.get(), features);
  return features;
}

std::expected<void, sys::SetupError> forbid_more_queues(const UniqueFd& queue) {
  // The kernel asks whether somebody is the owner or may change the interface. So the owner is a
  // user that nobody is, or else another than the command: root, who needs no permission.
  constexpr std::array<unsigned long, 2> kOwners = {4'294'967'294, 0};
  for (const unsigned long owner : kOwners) {
    if (::ioctl(queue.get(), TUNSETOWNER, owner) == 0) return {};
  }
  return std::unexpected(setup_error_of(TapStep::kOwner, errno));
}

}  // namespace sluice::link
