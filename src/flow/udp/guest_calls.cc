#include "flow/udp/guest_calls.h"

namespace sluice::flow {

std::unique_ptr<GuestCall> GuestCalls::begin(wire::IpFamily family, wire::Port port,
                                             Instant now) const {
  const bool never = when_ == policy::LoopbackUse::kNever;
  if (never || leads_out(lead_out_, policy::Protocol::kUdp, port)) return nullptr;
  const wire::Endpoint server{wire::IpAddress::loopback(family), port};
  auto call = std::make_unique<GuestCall>(calls_first(when_, servers_, server, now), family, port);
  call->held_since = now;
  return call;
}

void GuestCalls::ask(GuestCall& call, std::uint32_t flow, ActionSink& out) {
  call.socket = sockets_.add_in_guest(*call.server(), flow);
  out.push(OpenGuestUdp{call.socket, *call.server()});
}

bool GuestCalls::keep(GuestCall& call, const UdpBatch& batch, Instant now) {
  if (call.answered) return false;
  const bool is_sent = call.is_open || !call.server();
  if (is_sent && now >= call.held_since + kRefusedWithin) {
    forget_kept(call);
    call.held_since = now;
  }
  const std::size_t size = batch.datagrams.size();
  if (kept_ + size > kKeptMax) return false;
  if (!call.held.add(batch.datagrams, batch.segment_size, GuestCall::kHopLimit)) return false;
  kept_ += size;
  return true;
}

void GuestCalls::forget_kept(GuestCall& call) {
  kept_ -= call.held.bytes();
  call.held.clear();
}

void GuestCalls::hang_up(GuestCall& call, ActionSink& out) {
  if (!call.socket.valid()) return;
  --sockets_.at(call.socket.index).flows;
  if (sockets_.drop_unused(call.socket)) out.push(CloseUdp{call.socket});
  call.socket = {};
  call.is_open = false;
}

void GuestCalls::ask_own(GuestCall& call, std::uint32_t flow, ActionSink& out) {
  hang_up(call, out);
  call.go_to_own();
  ask(call, flow, out);
}

bool GuestCalls::found(GuestCall& call, Instant now) {
  call.answered = true;
  forget_kept(call);
  const bool known = servers_.waits(*call.server(), now);
  servers_.found(*call.server(), now);
  return !known;
}

}  // namespace sluice::flow
