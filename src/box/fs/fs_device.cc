#include "box/fs/fs_device.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/unreachable.h"
#include "link/vhost_user/messages.h"
#include "link/vhost_user/session.h"
#include "sys/event_fd.h"
#include "virtio/config_space.h"

namespace sluice::box {
namespace {

using link::VhostRequest;

// tag 36, request queues 4 (virtio 1.2, 5.11.4).
constexpr std::size_t kConfigSize = 40;
// A front-end's addresses are names: the server has none of them but by its table. None is zero,
// which might be taken for no address.
constexpr std::uint64_t kUserBase = std::uint64_t{1} << 44;

}  // namespace

std::expected<std::unique_ptr<FsDevice>, sys::SetupError> FsDevice::create(DeviceThread& thread,
                                                                           FileServer& server,
                                                                           MemoryFile memory,
                                                                           TellFault tell) {
  std::unique_ptr<FsDevice> device(
      new FsDevice(thread, server, std::move(memory), std::move(tell)));
  for (std::size_t queue = 0; queue < kQueues; ++queue) {
    device->kicks_.emplace_back(sys::open_event_fd());
    if (!device->kicks_.back().valid()) {
      return std::unexpected(sys::SetupError{"eventfd", errno, ""});
    }
  }
  if (const auto agreed = device->agree(); !agreed) {
    (void)server.read_log();
    const std::string& words = server.last_words();
    return std::unexpected(
        sys::SetupError{fmt::format("virtiofsd for {}: {}", server.plan().tree.directory,
                                    words.empty() ? agreed.error() : words),
                        0, ""});
  }
  if (const auto watched = device->watch(); !watched) {
    return std::unexpected(sys::SetupError{watched.error().describe(), 0, ""});
  }
  return device;
}

FsDevice::FsDevice(DeviceThread& thread, FileServer& server, MemoryFile memory, TellFault tell)
    : thread_(thread), server_(server), memory_(std::move(memory)), tell_(std::move(tell)) {
  if (memory_.ranges.size() > link::kVhostTableMax) unreachable("ranges of a machine's memory");
}

VhostFrontEnd::Done FsDevice::agree() {
  VhostFrontEnd& server = server_.front_end();
  const auto features = server.get(VhostRequest::kGetFeatures);
  if (!features) return std::unexpected(features.error());
  const virtio::FeatureSet ours{virtio::Feature::kVersion1, virtio::Feature::kEventIdx,
                                virtio::Feature::kIndirectDesc};
  offered_ = virtio::FeatureSet(*features & ours.bits());
  if (!offered_.has(virtio::Feature::kVersion1)) {
    return std::unexpected(std::string("it does not offer VERSION_1"));
  }
  if (const auto owned = server.send(VhostRequest::kSetOwner, link::VhostNothing{}); !owned) {
    return owned;
  }
  has_protocol_ = (*features & link::kVhostProtocolFeatures) != 0;
  if (!has_protocol_) return {};
  const auto protocol = server.get(VhostRequest::kGetProtocolFeatures);
  if (!protocol) return std::unexpected(protocol.error());
  const std::uint64_t taken = *protocol & link::VhostProtocol::kReplyAck;
  const auto set = server.send(VhostRequest::kSetProtocolFeatures, link::VhostNumber{taken});
  if (taken != 0) server.expect_words();
  return set;
}

std::expected<void, sys::SysError> FsDevice::watch() {
  auto socket = thread_.watch(server_.front_end().fd(), EPOLLIN | EPOLLRDHUP,
                              [this](std::uint32_t) { on_socket(); });
  if (!socket) return std::unexpected(socket.error());
  socket_watch_ = std::move(*socket);
  auto log = thread_.watch(server_.log_fd(), EPOLLIN, [this](std::uint32_t) {
    if (!server_.read_log()) log_watch_.reset();
  });
  if (!log) return std::unexpected(log.error());
  log_watch_ = std::move(*log);
  return {};
}

void FsDevice::read_config(std::size_t offset, MutableBytes into) const {
  std::array<std::uint8_t, kConfigSize> config{};
  std::ranges::copy(std::string_view(server_.plan().tag).substr(0, kTagMax), config.begin());
  config[kTagMax] = kQueues - 1;
  virtio::read_config_space(config, offset, into);
}

bool FsDevice::start(virtio::FeatureSet accepted, std::span<const virtio::MmioQueueSetup> queues) {
  bool started = false;
  thread_.ask([&] {
    if (gone_) return;
    const auto done = start_here(accepted, queues);
    started = done.has_value();
    if (!done) fail(done.error());
  });
  return started;
}

VhostFrontEnd::Done FsDevice::start_here(virtio::FeatureSet accepted,
                                         std::span<const virtio::MmioQueueSetup> queues) {
  VhostFrontEnd& server = server_.front_end();
  const std::uint64_t protocol = has_protocol_ ? link::kVhostProtocolFeatures : 0;
  if (const auto set = server.send_and_hear(VhostRequest::kSetFeatures,
                                            link::VhostNumber{accepted.bits() | protocol});
      !set) {
    return set;
  }
  link::VhostTable table;
  for (const MemoryRange& range : memory_.ranges) {
    table.regions[table.count++] = {.guest_address = range.guest_address,
                                    .size = range.size,
                                    .user_address = kUserBase + range.guest_address,
                                    .offset = range.offset};
  }
  const std::vector<int> files(memory_.ranges.size(), memory_.fd);
  if (const auto set = server.send_and_hear(VhostRequest::kSetMemTable, table, files); !set) {
    return set;
  }
  for (std::uint32_t i = 0; i < queues.size() && i < kQueues; ++i) {
    if (!queues[i].ready) continue;
    if (const auto ring = start_ring(i, queues[i], accepted); !ring) return ring;
  }
  return {};
}

VhostFrontEnd::Done FsDevice::start_ring(std::uint32_t index, const virtio::MmioQueueSetup& setup,
                                         virtio::FeatureSet accepted) {
  const virtio::RingSizes sizes = virtio::ring_sizes(setup.size, virtio::ring_features(accepted));
  const auto descriptors = user_address(setup.descriptors, sizes.descriptors);
  const auto available = user_address(setup.driver, sizes.driver);
  const auto used = user_address(setup.device, sizes.device);
  if (!descriptors || !available || !used) {
    return std::unexpected(std::string("the guest has a queue of it outside of its memory"));
  }
  const link::VhostVringAddress address{
      .index = index, .descriptors = *descriptors, .used = *used, .available = *available};
  const auto number = static_cast<std::uint8_t>(index);
  const std::array call = {interrupt_->fd()};
  const std::array kick = {kicks_[index].get()};
  struct Step {
    VhostRequest request;
    link::VhostPayload payload;
    std::span<const int> descriptors;
  };
  const std::array steps = {
      Step{VhostRequest::kSetVringNum, link::VhostVringState{index, setup.size}, {}},
      Step{VhostRequest::kSetVringBase, link::VhostVringState{index, 0}, {}},
      Step{VhostRequest::kSetVringAddr, address, {}},
      Step{VhostRequest::kSetVringCall, link::VhostVringFd{number, true}, call},
      Step{VhostRequest::kSetVringKick, link::VhostVringFd{number, true}, kick},
      Step{VhostRequest::kSetVringEnable, link::VhostVringState{index, 1}, {}}};
  running_.push_back(index);
  for (const Step& step : steps) {
    if (step.request == VhostRequest::kSetVringEnable && !has_protocol_) continue;
    const auto done =
        server_.front_end().send_and_hear(step.request, step.payload, step.descriptors);
    if (!done) return done;
  }
  return {};
}

std::optional<std::uint64_t> FsDevice::user_address(std::uint64_t guest_address,
                                                    std::size_t size) const {
  for (const MemoryRange& range : memory_.ranges) {
    const std::uint64_t offset = guest_address - range.guest_address;
    if (offset < range.size && size <= range.size - offset) return kUserBase + guest_address;
  }
  return std::nullopt;
}

void FsDevice::reset() {
  thread_.ask([this] {
    if (gone_) return;
    const auto stopped = stop_rings();
    for (const UniqueFd& kick : kicks_) sys::drain(thread_.kernel(), kick.get());
    if (!stopped) fail(stopped.error());
  });
}

VhostFrontEnd::Done FsDevice::stop_rings() {
  for (const std::uint32_t index : std::exchange(running_, {})) {
    const auto base = server_.front_end().get_vring_base(index);
    if (!base) return std::unexpected(base.error());
  }
  return {};
}

// Nothing comes of itself: its end, or nonsense.
void FsDevice::on_socket() { fail("it ended"); }

void FsDevice::fail(std::string_view why) {
  if (std::exchange(gone_, true)) return;
  socket_watch_.reset();
  server_.hang_up();
  if (interrupt_ != nullptr) interrupt_->needs_reset();
  (void)server_.read_log();
  const std::string& words = server_.last_words();
  tell_(fmt::format("virtiofsd for {} serves no more: {}", server_.plan().tree.directory,
                    words.empty() ? std::string(why) : fmt::format("{} ({})", why, words)));
}

}  // namespace sluice::box
