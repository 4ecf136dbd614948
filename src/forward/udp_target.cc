#include "forward/udp_target.h"

#include <optional>

namespace sluice::forward {
namespace {

// A target of the other family is reached from the system's own choice.
std::optional<wire::Endpoint> source_of(const SocketPlan& plan, const wire::Endpoint& client,
                                        wire::IpFamily family) {
  // The client of a UNIX socket has no endpoint.
  if (plan.transparent && client.port.value != 0 && client.address.family() == family) {
    return client;
  }
  if (plan.source && plan.source->family() == family) {
    return wire::Endpoint{*plan.source, wire::Port{0}};
  }
  return std::nullopt;
}

}  // namespace

std::expected<host::UdpSocket, host::SysError> open_datagram_target(host::Kernel& kernel,
                                                                    const SocketPlan& plan,
                                                                    const wire::Endpoint& target,
                                                                    const wire::Endpoint& client) {
  const wire::IpFamily family = target.address.family();
  const auto source = source_of(plan, client, family);
  auto socket = host::UdpSocket::open(kernel, family,
                                      {.bind = source,
                                       .mark = plan.mark,
                                       .receive_buffer = static_cast<int>(plan.receive_buffer),
                                       .send_buffer = static_cast<int>(plan.send_buffer),
                                       .device = plan.target_device,
                                       .transparent = plan.transparent && source == client});
  if (!socket) return socket;
  if (const auto connected = socket->connect(target); !connected) {
    return std::unexpected(connected.error());
  }
  return socket;
}

std::expected<host::StartedConnect, host::SysError> open_stream_target(
    host::Kernel& kernel, const SocketPlan& plan, const Destination& target,
    const wire::Endpoint& client) {
  if (!target.inet) return host::connect_unix(kernel, target.path);
  const auto source = source_of(plan, client, target.inet->address.family());
  host::StreamOptions options{.source = source,
                              .transparent = plan.transparent && source == client,
                              .device = plan.target_device,
                              .mark = plan.mark,
                              .multipath = plan.multipath,
                              .receive_buffer = plan.receive_buffer,
                              .send_buffer = plan.send_buffer};
  if (plan.keepalive.enabled) {
    options.keepalive = host::KeepAlive{.idle_seconds = plan.keepalive.idle_seconds,
                                        .interval_seconds = plan.keepalive.interval_seconds,
                                        .count = plan.keepalive.count};
  }
  return host::connect_stream(kernel, *target.inet, options);
}

}  // namespace sluice::forward
