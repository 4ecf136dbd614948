#include "link/vhost_user/session.h"

#include <string>
#include <string_view>
#include <utility>

namespace sluice::link {
namespace {

[[nodiscard]] std::unexpected<VhostRefusal> refuse(std::string_view why) {
  return std::unexpected(VhostRefusal{std::string(why)});
}

[[nodiscard]] std::unexpected<VhostRefusal> no_such_ring(std::uint32_t index) {
  return std::unexpected(VhostRefusal{"there is no ring " + std::to_string(index)});
}

// RFC 791's smallest, and the largest that the configuration space can tell.
constexpr std::uint64_t kMtuMin = 68;
constexpr std::uint64_t kMtuMax = 65'535;

[[nodiscard]] VhostDone check_inflight(const VhostInflight& inflight, std::size_t rings,
                                       std::uint32_t ring_size_max) {
  if (inflight.queues == 0 || inflight.queues > rings || inflight.queue_size == 0 ||
      inflight.queue_size > ring_size_max) {
    return refuse("what is in flight is asked for of queues that there are not");
  }
  return {};
}

}  // namespace

VhostSession::VhostSession(const VhostOffer& offer, VhostDevice& device)
    : offer_(offer), device_(device), rings_(2 * offer.pairs + 1) {}

std::uint64_t VhostSession::offered_features() const {
  return offer_.features | kVhostLogAll | kVhostProtocolFeatures;
}

// QEMU reads the configuration space of a network device from nobody, and prints a warning where it
// is offered. It is the one front-end that asks for protocol features before it is the owner; those
// that take the offer (User Mode Linux, cloud-hypervisor, crosvm) ask as owners. Asked again, for
// each of QEMU's queue pairs, the answer is the same.
std::uint64_t VhostSession::offered_protocol() {
  if (!offers_config_) offers_config_ = owned_;
  const std::uint64_t always = VhostProtocol::kMq | VhostProtocol::kLogShmfd |
                               VhostProtocol::kRarp | VhostProtocol::kReplyAck |
                               VhostProtocol::kNetMtu | VhostProtocol::kBackendReq |
                               VhostProtocol::kResetDevice | VhostProtocol::kMemSlots |
                               VhostProtocol::kStatus | VhostProtocol::kInflightShmfd;
  return *offers_config_ ? always | VhostProtocol::kConfig : always;
}

// QEMU and DPDK, which have a device of their own, count pairs; those that take ours count queues.
std::uint64_t VhostSession::queue_number() const {
  const bool counts_queues = (protocol_features_ & VhostProtocol::kConfig) != 0;
  return counts_queues ? rings_.size() : offer_.pairs;
}

std::expected<std::optional<VhostMessage>, VhostRefusal> VhostSession::on_message(
    const VhostMessage& message, std::vector<UniqueFd> descriptors) {
  descriptor_.reset();
  const Result done = carry_out(message, std::move(descriptors));
  refused_ = done ? std::string() : done.error().why;
  if (done && !std::holds_alternative<VhostNothing>(*done)) {
    return VhostMessage{message.request, false, *done};
  }
  // Of those that were agreed on with this very message, too: User Mode Linux waits for it.
  const bool acknowledged =
      message.need_reply && (protocol_features_ & VhostProtocol::kReplyAck) != 0;
  if (acknowledged) {
    return VhostMessage{message.request, false, VhostNumber{done ? 0U : 1U}};
  }
  if (!done) return std::unexpected(done.error());
  return std::nullopt;
}

VhostSession::Result VhostSession::carry_out(const VhostMessage& message,
                                             std::vector<UniqueFd> descriptors) {
  const auto number = [&] { return std::get<VhostNumber>(message.payload).value; };
  const auto state = [&] { return std::get<VhostVringState>(message.payload); };
  const auto vring = [&] { return std::get<VhostVringFd>(message.payload); };
  UniqueFd first = descriptors.empty() ? UniqueFd() : std::move(descriptors.front());
  switch (message.request) {
    case VhostRequest::kGetFeatures: return VhostNumber{offered_features()};
    case VhostRequest::kSetFeatures: return set_features(number());
    case VhostRequest::kGetProtocolFeatures: return VhostNumber{offered_protocol()};
    case VhostRequest::kSetProtocolFeatures: return set_protocol_features(number());
    case VhostRequest::kGetQueueNum: return VhostNumber{queue_number()};
    case VhostRequest::kGetMaxMemSlots: return VhostNumber{offer_.regions_max};
    case VhostRequest::kGetConfig: return get_config(std::get<VhostConfig>(message.payload));
    case VhostRequest::kGetStatus: return VhostNumber{status_};
    case VhostRequest::kSetStatus: return set_status(number());
    case VhostRequest::kNetSetMtu: return set_mtu(number());
    case VhostRequest::kSetOwner: owned_ = true; return VhostNothing{};
    case VhostRequest::kResetOwner:
    case VhostRequest::kResetDevice: reset(); return VhostNothing{};
    case VhostRequest::kSetBackendReqFd: requests_ = std::move(first); return VhostNothing{};

    // All that a driver may write is what a modern one writes by the control queue.
    case VhostRequest::kSetConfig:
    // The guest's address is seen in its first frame, and there is no switch to be told.
    case VhostRequest::kSendRarp:
    // Nobody waits for news of the log, and errors are in our own.
    case VhostRequest::kSetLogFd:
    case VhostRequest::kSetVringErr: return VhostNothing{};

    case VhostRequest::kSetMemTable:
    case VhostRequest::kAddMemReg:
    case VhostRequest::kRemMemReg:
      if (first.valid()) descriptors.front() = std::move(first);
      return change_memory(message, std::move(descriptors));
    case VhostRequest::kSetLogBase:
      return set_log(std::get<VhostLog>(message.payload), std::move(first));

    case VhostRequest::kGetInflightFd:
      return get_inflight(std::get<VhostInflight>(message.payload));
    case VhostRequest::kSetInflightFd:
      return set_inflight(std::get<VhostInflight>(message.payload), std::move(first));

    case VhostRequest::kSetVringNum: return set_size(state());
    case VhostRequest::kSetVringBase: return set_base(state());
    case VhostRequest::kGetVringBase: return get_base(state());
    case VhostRequest::kSetVringEnable: return set_enabled(state());
    case VhostRequest::kSetVringAddr:
      return set_address(std::get<VhostVringAddress>(message.payload));
    case VhostRequest::kSetVringKick: return set_kick(vring(), std::move(first));
    case VhostRequest::kSetVringCall: return set_call(vring(), std::move(first));
  }
  return refuse("that is no request");
}

VhostSession::Result VhostSession::set_features(std::uint64_t features) {
  if ((features & ~offered_features()) != 0)
    return refuse("it takes features that are not offered");
  // What is logged may change under a ring that runs; what it looks like may not.
  const bool same_rings = has_features_ && ((features ^ features_) & ~kVhostLogAll) == 0;
  const std::vector<std::size_t> running = same_rings ? std::vector<std::size_t>() : stop_all();
  features_ = features;
  has_features_ = true;
  device_.set_features(features);
  // Without the protocol's features there is nothing that would enable a ring.
  if ((features & kVhostProtocolFeatures) == 0) {
    for (VhostRing& ring : rings_) ring.enabled = true;
  }
  if (const VhostDone done = start_again(running); !done) return std::unexpected(done.error());
  return VhostNothing{};
}

VhostSession::Result VhostSession::set_protocol_features(std::uint64_t features) {
  if ((features & ~offered_protocol()) != 0) {
    return refuse("it takes protocol features that are not offered");
  }
  protocol_features_ = features;
  return VhostNothing{};
}

// Virtio 1.2, 2.1: zero resets the device.
VhostSession::Result VhostSession::set_status(std::uint64_t status) {
  if (status > 0xff) return refuse("the status is none");
  if (status == 0) reset();
  status_ = static_cast<std::uint8_t>(status);
  return VhostNothing{};
}

// What lies behind the space reads as zero, as front-ends ask for as much as they know.
VhostSession::Result VhostSession::get_config(const VhostConfig& asked) const {
  VhostConfig answer{.offset = asked.offset, .size = asked.size, .flags = asked.flags};
  for (std::uint64_t i = 0; i < asked.size; ++i) {
    const std::uint64_t at = i + asked.offset;
    if (at < offer_.config.size()) answer.bytes[i] = offer_.config[at];
  }
  return answer;
}

// The guest is told its MTU by its front-end, and gets no larger frames for it.
VhostSession::Result VhostSession::set_mtu(std::uint64_t mtu) {
  if (mtu < kMtuMin || mtu > kMtuMax) return refuse("that is no MTU");
  return VhostNothing{};
}

VhostSession::Result VhostSession::set_log(const VhostLog& log, UniqueFd file) {
  const VhostDone done = device_.set_log(log, std::move(file));
  if (!done) return std::unexpected(done.error());
  return VhostNumber{0};  // Waited for with or without need_reply.
}

VhostSession::Result VhostSession::get_inflight(VhostInflight inflight) {
  const VhostDone possible = check_inflight(inflight, rings_.size(), offer_.ring_size_max);
  if (!possible) return std::unexpected(possible.error());
  auto file = device_.make_inflight(inflight);
  if (!file) return std::unexpected(file.error());
  descriptor_ = std::move(*file);
  return inflight;
}

VhostSession::Result VhostSession::set_inflight(const VhostInflight& inflight, UniqueFd file) {
  const VhostDone possible = check_inflight(inflight, rings_.size(), offer_.ring_size_max);
  if (!possible) return std::unexpected(possible.error());
  const std::vector<std::size_t> running = stop_all();
  const VhostDone done = device_.set_inflight(inflight, std::move(file));
  const VhostDone again = start_again(running);
  if (!done) return std::unexpected(done.error());
  if (!again) return std::unexpected(again.error());
  return VhostNothing{};
}

VhostSession::Result VhostSession::change_memory(const VhostMessage& message,
                                                 std::vector<UniqueFd> descriptors) {
  const std::vector<std::size_t> running = stop_all();
  VhostDone done;
  if (const auto* table = std::get_if<VhostTable>(&message.payload)) {
    done = device_.set_table(std::span(table->regions).first(table->count), std::move(descriptors));
  } else if (message.request == VhostRequest::kAddMemReg) {
    done =
        device_.add_region(std::get<VhostRegion>(message.payload), std::move(descriptors.front()));
  } else {
    done = device_.remove_region(std::get<VhostRegion>(message.payload));
  }
  const VhostDone again = start_again(running);
  if (!done) return std::unexpected(done.error());
  if (!again) return std::unexpected(again.error());
  return VhostNothing{};
}

VhostSession::Result VhostSession::set_size(const VhostVringState& state) {
  if (state.index >= rings_.size()) return no_such_ring(state.index);
  if (state.value == 0 || state.value > offer_.ring_size_max) {
    return refuse("a ring has no possible size");
  }
  stop(state.index);
  rings_[state.index].size = state.value;
  return VhostNothing{};
}

VhostSession::Result VhostSession::set_base(const VhostVringState& state) {
  if (state.index >= rings_.size()) return no_such_ring(state.index);
  stop(state.index);
  rings_[state.index].base = state.value;
  rings_[state.index].was_reset = false;
  return VhostNothing{};
}

VhostSession::Result VhostSession::get_base(const VhostVringState& state) {
  if (state.index >= rings_.size()) return no_such_ring(state.index);
  stop(state.index);
  device_.clear_inflight(state.index);
  rings_[state.index].kick.reset();
  return VhostVringState{state.index, rings_[state.index].base};
}

VhostSession::Result VhostSession::set_enabled(const VhostVringState& state) {
  if (state.index >= rings_.size()) return no_such_ring(state.index);
  rings_[state.index].enabled = state.value != 0;
  if (rings_[state.index].started) device_.ring_changed(state.index);
  return VhostNothing{};
}

VhostSession::Result VhostSession::set_address(const VhostVringAddress& address) {
  if (address.index >= rings_.size()) return no_such_ring(address.index);
  VhostRing& ring = rings_[address.index];
  const bool running = ring.started;
  stop(address.index);
  ring.address = address;
  // Sent to a ring that runs when a migration begins or is given up: it is to be logged, or not.
  // One that is not enabled is being set up anew.
  if (!running || !ring.enabled) return VhostNothing{};
  if (const VhostDone done = start(address.index); !done) return std::unexpected(done.error());
  return VhostNothing{};
}

VhostSession::Result VhostSession::set_kick(const VhostVringFd& vring, UniqueFd descriptor) {
  if (vring.index >= rings_.size()) return no_such_ring(vring.index);
  stop(vring.index);
  rings_[vring.index].kick = std::move(descriptor);
  if (const VhostDone done = start(vring.index); !done) return std::unexpected(done.error());
  return VhostNothing{};
}

VhostSession::Result VhostSession::set_call(const VhostVringFd& vring, UniqueFd descriptor) {
  if (vring.index >= rings_.size()) return no_such_ring(vring.index);
  rings_[vring.index].call = std::move(descriptor);
  if (rings_[vring.index].started) device_.ring_changed(vring.index);
  return VhostNothing{};
}

VhostDone VhostSession::start(std::size_t index) {
  VhostRing& ring = rings_[index];
  if (ring.started) return {};
  if (!has_features_) return refuse("a ring begins before features are agreed on");
  if (ring.size == 0 || !ring.address) return refuse("a ring begins without size or address");
  // It would have to be looked at all the time.
  if (!ring.kick.valid()) return refuse("a ring begins without a descriptor for kicks");
  if (std::exchange(ring.was_reset, false)) ring.base = 0;
  if (const VhostDone done = device_.start_ring(index, ring); !done) return done;
  ring.started = true;
  return {};
}

void VhostSession::stop(std::size_t index) {
  VhostRing& ring = rings_[index];
  if (!std::exchange(ring.started, false)) return;
  ring.base = device_.stop_ring(index);
}

std::vector<std::size_t> VhostSession::stop_all() {
  std::vector<std::size_t> running;
  for (std::size_t i = 0; i < rings_.size(); ++i) {
    if (!rings_[i].started) continue;
    running.push_back(i);
    stop(i);
  }
  return running;
}

// All of them are tried; the first that fails is told.
VhostDone VhostSession::start_again(std::span<const std::size_t> rings) {
  VhostDone all;
  for (const std::size_t index : rings) {
    const VhostDone done = start(index);
    if (!done && all) all = done;
  }
  return all;
}

// The device is as new. The memory stays, and so does whom to call: who resets a device need not
// send them again. What was in flight is of the device of before. Where a ring stood is still told:
// QEMU 7.2 asks for it behind its reset when a guest is stopped, to be moved or to go on later.
void VhostSession::reset() {
  (void)stop_all();
  device_.forget_inflight();
  const bool enabled = has_features_ && (features_ & kVhostProtocolFeatures) == 0;
  for (VhostRing& ring : rings_) {
    ring.size = 0;
    ring.was_reset = true;
    ring.address.reset();
    ring.kick.reset();
    ring.enabled = enabled;
  }
  status_ = 0;
}

void VhostSession::end() { (void)stop_all(); }

}  // namespace sluice::link
