#include "driver/loopback/loopback_datagrams.h"

#include "flow/core/drop_reason.h"

namespace sluice::driver {
namespace {

// What a datagram of the guest's kernel to itself has.
constexpr std::uint8_t kHopLimit = 64;

}  // namespace

void LoopbackDatagrams::on_event(const EventTag& tag, Settled settled) {
  LoopbackPorts::Place* const place = ports_.find(tag);
  if (place == nullptr) return;
  const auto slots = rows_.slots();
  // An error is of a program that has gone; the next event finds what is behind it.
  const auto count = place->socket.receive(scratch_, slots);
  if (!count) return;
  for (const host::IncomingDatagram& datagram : slots.first(*count)) {
    engine_.udp().on_loopback_datagrams(
        {.guest = datagram.source, .target = place->target, .listener = tag.index},
        host::DatagramRows::bytes_of(datagram), datagram.segment_size, {settled.now, settled.out});
  }
}

void LoopbackDatagrams::answer(const flow::AnswerGuest& action) {
  if (action.listener != batch_listener_) flush();
  batch_listener_ = action.listener;
  if (!batch_.goes_to(action.target, kHopLimit, std::nullopt)) {
    batch_.direct({.target = action.target, .hop_limit = kHopLimit});
  }
  if (batch_.add(action.payload, action.segment_size)) return;
  flush();
  (void)batch_.add(action.payload, action.segment_size);  // It is empty.
}

void LoopbackDatagrams::flush() {
  if (batch_.empty()) return;
  LoopbackPorts::Place* const place = ports_.find({EventKind::kGuestDatagrams, batch_listener_});
  if (place == nullptr) {
    batch_.clear();
    return;
  }
  const host::BatchResult result = batch_.flush(place->socket);
  engine_.drops().count(flow::DropReason::kUdpSendFailed, result.dropped);
}

}  // namespace sluice::driver
