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
  if (one.stock.size() + one.ordered > waiting + kStock / 2) return true;
  while (one.ordered < kOrderedMax && one.stock.size() + one.ordered < waiting + kStock) {
    if (!agent.make_socket(tag_of(family), {.family = family})) return false;
    ++one.ordered;
  }
  return true;
}

void GuestSockets::add(wire::IpFamily family, host::TcpSocket socket) {
  Shelf& one = shelf(family);
  if (one.ordered == 0) return;  // A stranger's.
  --one.ordered;
  if (socket.valid()) one.stock.push_back(std::move(socket));
}

void GuestSockets::forget_orders() {
  for (Shelf& one : shelves_) one.ordered = 0;
}

}  // namespace sluice::driver
