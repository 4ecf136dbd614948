#include "netns/guest_diagnostics.h"

#include <utility>

#include "netlink/listening_ports.h"

namespace sluice::netns {

void send_diagnostics(const GuestChannel& channel) {
  auto ports = netlink::ListeningPorts::open();
  if (ports) {
    channel.tell(OpenedDiagnostics{std::move(*ports).take()});
    return;
  }
  channel.tell(GuestWarning{{"ask the kernel which ports are waited at", ports.error().error,
                             "it needs the modules inet_diag, tcp_diag and udp_diag"}});
}

}  // namespace sluice::netns
