// The engine's share of DNS: queries to the relay, answers to the guest, names to the reports, and
// the connections to our DNS address.
#include <utility>

#include "base/overloaded.h"
#include "flow/engine/engine.h"
#include "wire/ip/nat64.h"

namespace sluice::flow {

void Engine::count_dns(dns::DnsQueryOutcome outcome) {
  switch (outcome) {
    case dns::DnsQueryOutcome::kAnswered:
    case dns::DnsQueryOutcome::kForwarded:
    case dns::DnsQueryOutcome::kRepeated: break;
    case dns::DnsQueryOutcome::kMalformed:
    case dns::DnsQueryOutcome::kFormError: drop(DropReason::kDnsRejected); break;
    case dns::DnsQueryOutcome::kTooMany: drop(DropReason::kDnsTooMany); break;
  }
}

void Engine::on_dns_query(const dns::DnsClient& client, ByteView message, Turn turn) {
  count_dns(dns_.on_query(client, message, turn.now, dns_fresh_));
  settle_dns(turn);
}

void Engine::on_dns_answer(dns::DnsSlot slot, DnsTransport transport, ByteView message, Turn turn) {
  if (transport == DnsTransport::kUdp) {
    dns_.on_upstream_udp(slot, message, turn.now, dns_fresh_);
  } else {
    dns_.on_upstream_tcp(slot, message, turn.now, dns_fresh_);
  }
  settle_dns(turn);
}

void Engine::on_dns_error(dns::DnsSlot slot, Turn turn) {
  dns_.on_upstream_error(slot, turn.now, dns_fresh_);
  settle_dns(turn);
}

bool Engine::serve_dns(const Action& action, Turn turn) {
  if (const auto* connect = std::get_if<ConnectTcp>(&action)) {
    // No host has this address: TargetMap leads it to us.
    if (!targets_.is_dns(connect->target)) return false;
    dns_streams_.connect(connect->flow, turn);
    return true;
  }
  if (dns_streams_.empty()) [[likely]]
    return false;
  // By value: what these bring may move the actions.
  const bool served = std::visit(Overloaded{[&](const WriteTcp write) {
                                              if (!dns_streams_.serves(write.flow)) return false;
                                              dns_streams_.write(write, turn);
                                              return true;
                                            },
                                            [&](const PeekTcp peek) {
                                              if (!dns_streams_.serves(peek.flow)) return false;
                                              dns_streams_.peek(peek, turn);
                                              return true;
                                            },
                                            [&](const DiscardTcp discard) {
                                              if (!dns_streams_.serves(discard.flow)) return false;
                                              dns_streams_.discard(discard, turn.now);
                                              return true;
                                            },
                                            [&](const ShutdownTcp shutdown) {
                                              if (!dns_streams_.serves(shutdown.flow)) return false;
                                              dns_streams_.shutdown(shutdown.flow);
                                              return true;
                                            },
                                            [&](const CloseTcp close) {
                                              if (!dns_streams_.serves(close.flow)) return false;
                                              dns_streams_.close(close.flow);
                                              return true;
                                            },
                                            [](const auto&) { return false; }},
                                 action);
  if (served) settle_dns(turn);
  return served;
}

// Answers go to the guest, and connections that have room ask on.
void Engine::settle_dns(Turn turn) {
  deliver_dns(turn);
  while (!dns_streams_.ready().empty()) {
    dns_asking_.swap(dns_streams_.ready());
    for (const TcpId id : dns_asking_) {
      dns_streams_.ask_next(
          id,
          [&](const dns::DnsClient& client, ByteView message) {
            const dns::DnsQueryOutcome outcome =
                dns_.on_query(client, message, turn.now, dns_fresh_);
            count_dns(outcome);
            return outcome;
          },
          turn);
    }
    dns_asking_.clear();
    deliver_dns(turn);
  }
}

// Answers go to the guest, and what they say about names is remembered; the rest is the driver's.
void Engine::deliver_dns(Turn turn) {
  for (dns::DnsAction& action : dns_fresh_) {
    const auto* answer = std::get_if<dns::DnsAnswer>(&action);
    if (answer == nullptr) {
      dns_actions_.push_back(std::move(action));
      continue;
    }
    if (const auto view = wire::DnsView::parse(answer->message)) {
      names_.learn(*view);
      learn_nat64(*view);
    }
    if (answer->client.over_tcp()) {
      dns_streams_.answer(TcpId{answer->client.stream}, answer->message, turn);
      continue;
    }
    link_.send_udp_copy({answer->client.asked, wire::Port{53}}, answer->client.endpoint,
                        answer->message, turn.out);
  }
  dns_fresh_.clear();
}

// RFC 7050, 3: an IPv6 answer to a name that has none shows the prefix of the network's translator.
void Engine::learn_nat64(const wire::DnsView& answer) {
  static const auto kProbeName = wire::DomainName::from_text("ipv4only.arpa");
  const auto question = answer.question();
  if (!answer.header().response || !question || question->name != *kProbeName) return;
  for (wire::DnsRecordReader records = answer.records(); !records.done();) {
    const auto record = records.next();
    if (!record || record->section != wire::DnsSection::kAnswer) return;
    const auto address = wire::dns_address(*record);
    if (!address) continue;
    if (const auto prefix = wire::nat64_prefix_of(*address)) add_nat64_prefix(*prefix);
  }
}

}  // namespace sluice::flow
