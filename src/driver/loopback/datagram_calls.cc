#include "driver/loopback/datagram_calls.h"

#include <cerrno>
#include <utility>

#include "flow/core/drop_reason.h"

namespace sluice::driver {

void DatagramCalls::forget_unwanted(Queue& queue) {
  std::erase_if(queue.waiting, [this](const flow::OpenGuestUdp& call) {
    return !engine_.udp().calls_guest(call.socket);
  });
}

void DatagramCalls::call(const flow::OpenGuestUdp& action, flow::Turn turn) {
  Queue& one = queue(action.server.address.family());
  if (one.waiting.size() >= kWaitingMax) forget_unwanted(one);
  if (one.waiting.size() >= kWaitingMax) {
    engine_.udp().on_guest_refused(action.socket, turn);
    return;
  }
  one.waiting.push_back(action);
}

bool DatagramCalls::order(agent::GuestAgent& agent, std::uint64_t first_tag) {
  std::uint64_t tag = first_tag;
  for (const auto family : {wire::IpFamily::kV4, wire::IpFamily::kV6}) {
    Queue& one = queue(family);
    while (one.ordered < one.waiting.size() && one.ordered < kOrderedMax) {
      if (!agent.make_sockets(tag, {.family = family, .datagrams = true})) return false;
      ++one.ordered;
    }
    ++tag;
  }
  return true;
}

void DatagramCalls::on_socket(wire::IpFamily family, agent::AgentSockets answer, flow::Turn turn) {
  Queue& one = queue(family);
  if (one.ordered == 0) return;  // A stranger's.
  --one.ordered;
  while (!one.waiting.empty() && !engine_.udp().calls_guest(one.waiting.front().socket)) {
    one.waiting.pop_front();
  }
  if (one.waiting.empty()) return;
  const flow::OpenGuestUdp call = one.waiting.front();
  one.waiting.pop_front();
  if (answer.error == EMFILE) engine_.drops().count(flow::DropReason::kNoDescriptors);
  if (begin(call, answer.take_one())) {
    engine_.udp().on_guest_opened(call.socket, turn);
  } else {
    engine_.udp().on_guest_refused(call.socket, turn);
  }
}

bool DatagramCalls::begin(const flow::OpenGuestUdp& call, UniqueFd socket) {
  if (!socket.valid()) return false;
  auto guest = host::UdpSocket::adopt(sys::KernelFd(kernel_, socket.release()));
  return guest.connect(call.server) && udp_.adopt_connected(call.socket, std::move(guest));
}

void DatagramCalls::on_agent_gone(flow::Turn turn) {
  for (Queue& one : queues_) {
    one.ordered = 0;
    for (const flow::OpenGuestUdp& call : std::exchange(one.waiting, {})) {
      engine_.udp().on_guest_refused(call.socket, turn);
    }
  }
}

}  // namespace sluice::driver
