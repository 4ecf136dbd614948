// The engine's share of DNS: queries to the relay, answers to the guest, names to the reports, and
// the connections to our DNS address.
#include <utility>
#include <vector>

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

namespace {

// What of a connection whose other end is `service`; false if it is not that one's.
template <typename Service>
bool serve_by(Service& service, const Action& action, Turn turn) {
  if (service.empty()) [[likely]]
    return false;
  // By value: what these bring may move the actions.
  return std::visit(Overloaded{[&](const WriteTcp write) {
                                 if (!service.serves(write.flow)) return false;
                                 service.write(write, turn);
                                 return true;
                               },
                               [&](const PeekTcp peek) {
                                 if (!service.serves(peek.flow)) return false;
                                 service.peek(peek, turn);
                                 return true;
                               },
                               [&](const DiscardTcp discard) {
                                 if (!service.serves(discard.flow)) return false;
                                 service.discard(discard, turn.now);
                                 return true;
                               },
                               [&](const ShutdownTcp shutdown) {
                                 if (!service.serves(shutdown.flow)) return false;
                                 service.shutdown(shutdown.flow);
                                 return true;
                               },
                               [&](const CloseTcp close) {
                                 if (!service.serves(close.flow)) return false;
                                 service.close(close.flow);
                                 return true;
                               },
                               [](const auto&) { return false; }},
                    action);
}

}  // namespace

bool Engine::serve_own(const Action& action, Turn turn) {
  if (const auto* connect = std::get_if<ConnectTcp>(&action)) {
    // No host has these addresses: TargetMap leads the first two to us, and nobody the third.
    if (targets_.is_dns(connect->target)) {
      dns_streams_.connect(connect->flow, turn);
      return true;
    }
    if (targets_.is_pages(connect->target)) {
      pages_.connect(connect->flow, turn);
      return true;
    }
    if (!targets_.stands_for_name(connect->target.address)) [[likely]]
      return false;
    explained_.connect(connect->flow, turn);
    return true;
  }
  if (const auto* find = std::get_if<FindTarget>(&action)) [[unlikely]] {
    finder_.find(
        FindTarget(*find),
        [&](const dns::DnsClient& client, ByteView message) {
          count_dns(dns_.on_query(client, message, turn.now, dns_fresh_));
        },
        turn);
    settle_dns(turn);
    return true;
  }
  if (const auto* report = std::get_if<ReportFlow>(&action)) {
    const FlowSummary& summary = report->summary;
    const bool refused = !summary.opening && summary.verdict != policy::Verdict::kAccepted;
    if (refused && admission_.has_judge()) [[unlikely]]
      (void)judge_.note_refusal(summary.key, summary.verdict, summary.by, 1);
    return false;
  }
  if (serve_by(explained_, action, turn) || serve_by(pages_, action, turn)) return true;
  if (!serve_by(dns_streams_, action, turn)) [[likely]]
    return false;
  settle_dns(turn);
  return true;
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
    if (answer->client.is_ours()) {
      finder_.on_answer(answer->client, answer->message, turn.now);
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
  if (!dns_judge_.answered().empty()) [[unlikely]] {
    std::vector<dns::NameId> names;
    names.swap(dns_judge_.answered());
    finder_.look_ahead(names, [&](const dns::DnsClient& client, ByteView message) {
      count_dns(dns_.on_query(client, message, turn.now, dns_fresh_));
    });
    deliver_dns(turn);  // What the cache has.
  }
  if (finder_.has_found()) [[unlikely]]
    finder_.tell_found(turn);
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
