#include "dns/dns_relay.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "dns/dns_reply.h"

namespace sluice::dns {
namespace {

using wire::DnsHeader;
using wire::DnsRcode;
using wire::DnsView;

constexpr std::size_t kHeader = wire::kDnsHeaderSize;

// Keys for different uses come out of one seed.
SipKey derive(const SipKey& seed, std::uint8_t use) {
  const std::array<std::uint8_t, 2> low{use, 0};
  const std::array<std::uint8_t, 2> high{use, 1};
  return {siphash(seed, low), siphash(seed, high)};
}

// This resolver cannot or will not; another may (as stub resolvers do, resolv.conf(5)).
bool gives_way(const DnsView& answer) {
  const DnsRcode rcode = answer.header().rcode;
  return rcode == DnsRcode::kServFail || rcode == DnsRcode::kRefused || is_bare_refusal(answer);
}

}  // namespace

DnsRelay::DnsRelay(const SipKey& seed, const DnsRelayLimits& limits)
    : cache_key_(derive(seed, 1)),
      id_key_(derive(seed, 2)),
      limits_(limits),
      cache_(cache_key_, limits.cache),
      pending_(derive(seed, 3), limits.pending_max, limits.clients_max) {}

void DnsRelay::set_resolvers(const std::vector<wire::Endpoint>& resolvers, DnsUpstream upstream) {
  upstream_ = upstream;
  if (!resolvers_.set(resolvers)) return;
  ++epoch_;
  cache_.clear();
}

DnsQueryOutcome DnsRelay::on_query(const DnsClient& client, ByteView message, Instant now,
                                   Actions& out) {
  if (message.size() < kHeader || message.size() > kQuerySizeMax) {
    counters_.count(DnsResult::kMalformed);
    return DnsQueryOutcome::kMalformed;
  }
  const DnsHeader header = DnsHeader::parse(message.first<kHeader>());
  // An answer to an answer could go on for ever.
  if (header.response) {
    counters_.count(DnsResult::kMalformed);
    return DnsQueryOutcome::kMalformed;
  }
  const auto query = DnsView::parse(message);
  const bool plain = query && has_plain_question(*query);
  if (header.opcode != 0) {
    const std::size_t head = plain ? kHeader + query->question_bytes().size() : kHeader;
    out.push_back(DnsAnswer{client, bare_dns_reply(message.first(head), DnsRcode::kNotImp)});
    counters_.count(DnsResult::kMalformed);
    return DnsQueryOutcome::kAnswered;
  }
  const auto traits = plain ? read_dns_query(*query) : std::nullopt;
  // Where questions are judged, records beside one would be bytes of the guest's choice.
  if (!traits || (judge_ != nullptr && !traits->shareable)) {
    out.push_back(DnsAnswer{client, bare_dns_reply(message.first(kHeader), DnsRcode::kFormErr)});
    counters_.count(DnsResult::kMalformed);
    return DnsQueryOutcome::kFormError;
  }
  const ByteView head = message.first(kHeader + query->question_bytes().size());
  const bool whole = client.over_tcp() || client.is_ours();
  const std::size_t size_max = whole ? kStreamAnswerMax : traits->udp_payload_size;
  const Asked asked{client, head, size_max, traits->edns};
  if (judge_ != nullptr && !client.is_ours()) {
    if (const auto local = judge_->judge_query(*query->question(), now)) {
      out.push_back(DnsAnswer{client, local_dns_answer(head, asked.edns, size_max, *local)});
      counters_.count(local->why.empty() ? DnsResult::kLocal : DnsResult::kRefused);
      // What says why it says so little is a refusal.
      if (watch_ != nullptr && local->why.empty()) {
        const auto answer = DnsView::parse(std::get<DnsAnswer>(out.back()).message);
        watch_->on_answered(*query->question(), answer ? &*answer : nullptr, AnswerSource::kLocal);
      }
      return DnsQueryOutcome::kAnswered;
    }
  }
  const DnsKey key(*query, *traits);
  if (traits->shareable) {
    if (const auto cached = cache_.find(key, *query, now)) {
      const auto view = DnsView::parse(*cached);
      if (view) {
        const bool ours = client.is_ours();
        const JudgedAnswer judged = ours ? JudgedAnswer{} : judge(*view, now);
        reply(asked, *view, judged, out);
        if (!ours) tell(*view, judged, AnswerSource::kCache);
      }
      counters_.count(DnsResult::kCached);
      return DnsQueryOutcome::kAnswered;
    }
  }
  return ask(*query, *traits, key, {client, {head.begin(), head.end()}, size_max, traits->edns},
             now, out);
}

JudgedAnswer DnsRelay::judge(const DnsView& answer, Instant now) const {
  // A bare refusal says nothing of any name.
  if (judge_ == nullptr || !has_plain_question(answer)) return {};
  return judge_->judge_answer(answer, now);
}

void DnsRelay::reply(const Asked& asked, const DnsView& answer, const JudgedAnswer& judged,
                     Actions& out) {
  if (judged.instead) {
    out.push_back(DnsAnswer{
        asked.client, local_dns_answer(asked.head, asked.edns, asked.size_max, *judged.instead)});
    return;
  }
  if (judged.changed.empty()) {
    out.push_back(DnsAnswer{asked.client, dns_answer_for(asked.head, asked.size_max, answer)});
  } else if (const auto changed = DnsView::parse(judged.changed)) {
    out.push_back(DnsAnswer{asked.client, dns_answer_for(asked.head, asked.size_max, *changed)});
  }
}

void DnsRelay::tell(const DnsView& answer, const JudgedAnswer& judged, AnswerSource source) const {
  if (watch_ == nullptr || judged.instead || !has_plain_question(answer)) return;
  const auto changed = DnsView::parse(judged.changed);
  watch_->on_answered(*answer.question(), changed ? &*changed : &answer, source);
}

// Nobody knows the answer yet.
DnsQueryOutcome DnsRelay::ask(const DnsView& query, const DnsQueryTraits& traits, const DnsKey& key,
                              DnsAsker asker, Instant now, Actions& out) {
  const auto refuse = [&](DnsResult result) {
    out.push_back(DnsAnswer{asker.client, bare_dns_reply(asker.head, DnsRcode::kServFail)});
    counters_.count(result);
  };
  if (resolvers_.empty()) {
    refuse(DnsResult::kNobody);
    if (watch_ != nullptr) watch_->on_answered(*query.question(), nullptr, AnswerSource::kNobody);
    return DnsQueryOutcome::kAnswered;
  }
  // Also what may not be shared: a client that repeats its query asks for no second answer.
  if (pending_.asks(key, asker)) {
    counters_.count(DnsResult::kRepeated);
    return DnsQueryOutcome::kRepeated;
  }
  if (DnsPending* equal = traits.shareable ? pending_.find_shareable(key, epoch_) : nullptr) {
    if (equal->askers.size() >= limits_.clients_per_question_max || !pending_.join(*equal, asker)) {
      refuse(DnsResult::kOverload);
      return DnsQueryOutcome::kTooMany;
    }
    counters_.count(DnsResult::kAsked);
    return DnsQueryOutcome::kForwarded;
  }
  DnsPending* pending =
      pending_.add(key,
                   judge_ != nullptr ? judged_dns_query(query, traits)
                                     : upstream_dns_query(query.message(), traits),
                   asker);
  if (pending == nullptr) {
    refuse(DnsResult::kOverload);
    return DnsQueryOutcome::kTooMany;
  }
  counters_.count(DnsResult::kAsked);
  pending->shareable = traits.shareable;
  pending->epoch = epoch_;
  pending->started = now;
  pending->resolver = resolvers_.choose(0, now);
  attempt(*pending, upstream_ == DnsUpstream::kTcpOnly, now, out);
  return DnsQueryOutcome::kForwarded;
}

void DnsRelay::on_upstream_udp(DnsSlot slot, ByteView message, Instant now, Actions& out) {
  DnsPending* pending = pending_.find(slot);
  if (pending == nullptr || pending->tcp) return;
  const auto answer = DnsView::parse(message);
  if (!answer || !answers(*pending, *answer)) {
    ++rejected_answers_;
    return;
  }
  resolvers_.on_answer(pending->asked, now);
  if (answer->header().truncated) {
    pending->saw_truncated = true;
    if (resolvers_.empty()) return fail(*pending, out);
    out.push_back(CloseDns{pending->slot});
    pending->resolver = std::min(pending->resolver, resolvers_.size() - 1);
    return attempt(*pending, true, now, out);
  }
  if (gives_way(*answer) && pending->attempts < resolvers_.size()) {
    return next_resolver(*pending, now, out);
  }
  deliver(*pending, *answer, now, out);
}

void DnsRelay::on_upstream_tcp(DnsSlot slot, ByteView message, Instant now, Actions& out) {
  DnsPending* pending = pending_.find(slot);
  if (pending == nullptr || !pending->tcp) return;
  const auto answer = DnsView::parse(message);
  if (!answer || !answers(*pending, *answer)) {
    // Nothing better will follow on this connection.
    ++rejected_answers_;
    return next_resolver(*pending, now, out);
  }
  if (gives_way(*answer) && pending->tcp_attempts < resolvers_.size()) {
    return next_resolver(*pending, now, out);
  }
  deliver(*pending, *answer, now, out);
}

void DnsRelay::on_upstream_error(DnsSlot slot, Instant now, Actions& out) {
  DnsPending* pending = pending_.find(slot);
  if (pending == nullptr) return;
  if (!pending->tcp) {
    ++pending->errors;
    resolvers_.on_failure(pending->asked, now + kDeadFor);
  }  // A resolver that answers by UDP but refuses TCP is not dead.
  next_resolver(*pending, now, out);
}

void DnsRelay::on_timer(Instant now, Actions& out) {
  while (DnsPending* pending = pending_.first_due(now)) {
    if (!pending->tcp) resolvers_.on_silence(pending->asked, pending->sent, now + kDeadFor);
    next_resolver(*pending, now, out);
  }
}

// RFC 5452, 9.2: whoever saw earlier ids must not be able to tell the next.
std::uint16_t DnsRelay::next_id() {
  std::array<std::uint8_t, 8> counter{};
  const FixedBytes<8> bytes(counter);
  put32<0>(bytes, static_cast<std::uint32_t>(id_counter_ >> 32));
  put32<4>(bytes, static_cast<std::uint32_t>(id_counter_));
  ++id_counter_;
  return static_cast<std::uint16_t>(siphash(id_key_, counter));
}

void DnsRelay::attempt(DnsPending& pending, bool tcp, Instant now, Actions& out) {
  pending.tcp = tcp;
  pending.id = next_id();
  pending.sent = now;
  pending.asked = resolvers_.endpoint(pending.resolver);
  put16<0>(MutableBytes(pending.query).first<2>(), pending.id);
  Duration patience = kTcpTimeout;
  if (tcp) {
    ++pending.tcp_attempts;
  } else {
    const std::size_t round = std::min(pending.attempts / resolvers_.size(), kRoundsMax - 1);
    patience = kFirstTimeout * (1 << round);
    ++pending.attempts;
  }
  pending_.renew(pending, std::min(now + patience, pending.started + kGiveUpAfter));
  if (tcp) {
    out.push_back(OpenDnsTcp{pending.slot, pending.resolver, pending.asked, pending.query});
  } else {
    out.push_back(OpenDnsUdp{pending.slot, pending.resolver, pending.asked, pending.query});
  }
}

void DnsRelay::next_resolver(DnsPending& pending, Instant now, Actions& out) {
  // A server that cannot be reached over TCP does not become reachable by asking it again.
  const bool spent = pending.tcp ? pending.tcp_attempts >= resolvers_.size()
                                 : pending.errors >= resolvers_.size() ||
                                       pending.attempts >= kRoundsMax * resolvers_.size();
  if (spent || now >= pending.started + kGiveUpAfter) return fail(pending, out);
  out.push_back(CloseDns{pending.slot});
  pending.resolver = resolvers_.choose(pending.resolver + 1, now);
  attempt(pending, pending.tcp, now, out);
}

// Whether this is the answer to what we asked (RFC 5452, 3 and 9.1).
bool DnsRelay::answers(const DnsPending& pending, const DnsView& answer) {
  const DnsHeader& header = answer.header();
  if (!header.response || header.opcode != 0 || header.id != pending.id) return false;
  if (is_bare_refusal(answer)) return true;
  if (!has_plain_question(answer)) return false;
  const auto asked = DnsView::parse(pending.query);
  return asked && *asked->question() == *answer.question();
}

void DnsRelay::deliver(DnsPending& pending, const DnsView& answer, Instant now, Actions& out) {
  counters_.upstream.add(now - pending.started);
  if (pending.shareable && pending.epoch == epoch_) cache_.store(pending.key, answer, now);
  std::optional<JudgedAnswer> judged;  // Only where the guest asked: it pins what it lets through.
  for (const DnsAsker& asker : pending.askers) {
    const bool ours = asker.client.is_ours();
    if (!ours && !judged) judged = judge(answer, now);
    reply({asker.client, asker.head, asker.size_max, asker.edns}, answer,
          ours ? JudgedAnswer{} : *judged, out);
  }
  if (judged) tell(answer, *judged, AnswerSource::kResolver);
  finish(pending, out);
}

void DnsRelay::fail(DnsPending& pending, Actions& out) {
  ++counters_.unanswered;
  for (const DnsAsker& asker : pending.askers) {
    // There is an answer, only not one that we could fetch: the client may try again over TCP.
    const bool truncated =
        pending.saw_truncated && !asker.client.over_tcp() && !asker.client.is_ours();
    const DnsRcode rcode = truncated ? DnsRcode::kNoError : DnsRcode::kServFail;
    out.push_back(DnsAnswer{asker.client, bare_dns_reply(asker.head, rcode, truncated)});
  }
  if (watch_ != nullptr) {
    const auto asked = DnsView::parse(pending.query);
    if (asked) watch_->on_answered(*asked->question(), nullptr, AnswerSource::kNobody);
  }
  finish(pending, out);
}

void DnsRelay::finish(DnsPending& pending, Actions& out) {
  out.push_back(CloseDns{pending.slot});
  pending_.remove(pending);
}

}  // namespace sluice::dns
