#include "driver/loopback/guest_sockets.h"

#include <utility>

namespace sluice::driver {

host::TcpSocket GuestSockets::take(wire::IpFamily family) {
  std::vector<host::TcpSocket>& stock = shelf(family).stock;
  if (stock.empty()) return {};
  host::TcpSocket socket = std::move(stock.back());
  stock.pop_back();
  return socket;
}

bool GuestSockets::order(agent::GuestAgent& agent, wire::IpFamily family, std::size_t waiting) {
  Shelf& one = shelf(family);
  while (one.orders < kOrdersMax && one.stock.size() + one.orders * kBatch <= waiting + kLeft) {
    if (!agent.make_sockets(tag_of(family), {.family = family}, kBatch)) return false;
    ++one.orders;
  }
  return true;
}

bool GuestSockets::on_answer(wire::IpFamily family) {
  Shelf& one = shelf(family);
  if (one.orders == 0) return false;
  --one.orders;
  return true;
}

void GuestSockets::add(wire::IpFamily family, host::TcpSocket socket) {
  shelf(family).stock.push_back(std::move(socket));
}

void GuestSockets::forget_orders() {
  for (Shelf& one : shelves_) one.orders = 0;
}

}  // namespace sluice::driver
