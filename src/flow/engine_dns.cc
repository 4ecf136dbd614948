// The engine's share of DNS: queries to the relay, answers to the guest, names to the reports.
#include <utility>

#include "flow/engine.h"

namespace sluice::flow {

void Engine::on_dns_query(const wire::Endpoint& guest, ByteView message, Instant now,
                          ActionSink& out) {
  switch (dns_.on_query(guest, message, now, dns_fresh_)) {
    case DnsQueryOutcome::kAnswered:
    case DnsQueryOutcome::kForwarded:
    case DnsQueryOutcome::kRepeated: break;
    case DnsQueryOutcome::kMalformed:
    case DnsQueryOutcome::kTooMany: drop(DropReason::kDnsRejected); break;
  }
  settle_dns(out);
}

void Engine::on_dns_answer(DnsSlot slot, DnsTransport transport, ByteView message, Instant now,
                           ActionSink& out) {
  if (transport == DnsTransport::kUdp) {
    dns_.on_upstream_udp(slot, message, now, dns_fresh_);
  } else {
    dns_.on_upstream_tcp(slot, message, now, dns_fresh_);
  }
  settle_dns(out);
}

void Engine::on_dns_error(DnsSlot slot, Instant now, ActionSink& out) {
  dns_.on_upstream_error(slot, now, dns_fresh_);
  settle_dns(out);
}

// Answers go to the guest, and what they say about names is remembered; the rest is the driver's.
void Engine::settle_dns(ActionSink& out) {
  for (DnsAction& action : dns_fresh_) {
    const auto* answer = std::get_if<DnsAnswer>(&action);
    if (answer == nullptr) {
      dns_actions_.push_back(std::move(action));
      continue;
    }
    if (const auto view = wire::DnsView::parse(answer->message)) names_.learn(*view);
    const bool v4 = answer->client.address.is_v4();
    const wire::Endpoint source{v4 ? options_.network.dns_v4 : options_.network.dns_v6,
                                wire::Port{53}};
    link_.send_udp_copy(source, answer->client, answer->message, out);
  }
  dns_fresh_.clear();
}

}  // namespace sluice::flow
