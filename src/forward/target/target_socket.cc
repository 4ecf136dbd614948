#include "forward/target/target_socket.h"

#include <optional>

namespace sluice::forward {
namespace {

struct SourceAddress {
  std::optional<wire::Endpoint> endpoint = std::nullopt;  // Nothing: the system's own choice.
  bool transparent = false;                               // It is the client's, not ours.
};

// A target of the other family is reached from the system's own choice.
SourceAddress source_of(const SocketPlan& plan, const wire::Endpoint& client,
                        wire::IpFamily family) {
  // The client of a UNIX socket has no endpoint.
  if (plan.transparent && client.port.value != 0 && client.address.family() == family) {
    return {.endpoint = client, .transparent = true};
  }
  if (plan.source && plan.source->family() == family) {
    return {.endpoint = wire::Endpoint{*plan.source, wire::Port{0}}};
  }
  return {};
}

}  // namespace

std::expected<host::UdpSocket, sys::SysError> open_datagram_target(sys::Kernel& kernel,
                                                                   const SocketPlan& plan,
                                                                   const Destination& target,
                                                                   const wire::Endpoint& client) {
  const wire::IpFamily family = target.inet->address.family();
  const SourceAddress source = source_of(plan, client, family);
  auto socket = host::UdpSocket::open(kernel, family,
                                      {.bind = source.endpoint,
                                       .scope_id = target.scope_id,
                                       .mark = plan.mark,
                                       .receive_buffer = plan.receive_buffer,
                                       .send_buffer = plan.send_buffer,
                                       .device = plan.target_device,
                                       .transparent = source.transparent});
  if (!socket) return socket;
  if (const auto connected = socket->connect(*target.inet, target.scope_id); !connected) {
    return std::unexpected(connected.error());
  }
  return socket;
}

std::expected<host::StartedConnect, sys::SysError> open_stream_target(sys::Kernel& kernel,
                                                                      const SocketPlan& plan,
                                                                      const Destination& target,
                                                                      const wire::Endpoint& client,
                                                                      FastOpen fast_open) {
  if (!target.inet) return host::connect_unix(kernel, target.path);
  const SourceAddress source = source_of(plan, client, target.inet->address.family());
  host::StreamOptions options{.source = source.endpoint,
                              .scope_id = target.scope_id,
                              .transparent = source.transparent,
                              .device = plan.target_device,
                              .mark = plan.mark,
                              .fast_open = plan.fast_open && fast_open == FastOpen::kAsPlanned,
                              .multipath = plan.multipath,
                              .receive_buffer = plan.receive_buffer,
                              .send_buffer = plan.send_buffer};
  if (plan.keepalive.enabled) {
    options.keepalive = sys::KeepAlive{.idle_seconds = plan.keepalive.idle_seconds,
                                       .interval_seconds = plan.keepalive.interval_seconds,
                                       .count = plan.keepalive.count};
  }
  return host::connect_stream(kernel, *target.inet, options);
}

}  // namespace sluice::forward
