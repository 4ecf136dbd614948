#include "flow/dns_relay.h"

#include <algorithm>
#include <array>
#include <utility>

namespace sluice::flow {
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

// A reply made of the header and question in `query` alone.
std::vector<std::uint8_t> bare_reply(ByteView query, DnsRcode rcode, bool truncated) {
  std::vector<std::uint8_t> reply(query.begin(), query.end());
  const FixedBytes<kHeader> bytes = MutableBytes(reply).first<kHeader>();
  DnsHeader header = DnsHeader::parse(bytes);
  header.response = true;
  header.authoritative = false;
  header.authentic_data = false;
  header.recursion_available = true;
  header.truncated = truncated;
  header.rcode = rcode;
  header.question_count = query.size() > kHeader ? 1 : 0;
  header.answer_count = 0;
  header.authority_count = 0;
  header.additional_count = 0;
  header.emit(bytes);
  return reply;
}

// Without EDNS options: they concern the guest and us (RFC 6891, 6.1.2), and an answer that echoes
// one client's cookie is of no use to another.
std::vector<std::uint8_t> upstream_query(ByteView message, const DnsQueryTraits& traits) {
  if (!traits.options_offset) return {message.begin(), message.end()};
  const ByteView kept = message.first(*traits.options_offset);
  std::vector<std::uint8_t> query(kept.begin(), kept.end());
  put16<0>(MutableBytes(query).last<2>(), 0);  // The length of the options stands before them.
  return query;
}

// The whole answer if it fits what the client takes, else one that sends it to TCP.
std::vector<std::uint8_t> answer_for(ByteView head, std::uint16_t size_max, ByteView answer) {
  if (answer.size() > size_max) return bare_reply(head, DnsRcode::kNoError, true);
  std::vector<std::uint8_t> reply(answer.begin(), answer.end());
  // The client's id, and its own spelling of the question: some check the case (0x20).
  std::copy_n(head.begin(), 2, reply.begin());
  std::ranges::copy(head.subspan(kHeader), reply.begin() + kHeader);
  return reply;
}

}  // namespace

DnsRelay::DnsRelay(const SipKey& seed, const DnsRelayLimits& limits)
    : cache_key_(derive(seed, 1)),
      id_key_(derive(seed, 2)),
      limits_(limits),
      cache_(cache_key_, limits.cache) {
  constexpr std::size_t kIndexMax = 0xffff;
  limits_.pending_max = std::min(limits_.pending_max, kIndexMax);
  // Entries must not move while one is in use.
  pending_.reserve(limits_.pending_max);
}

void DnsRelay::set_resolvers(const std::vector<wire::Endpoint>& resolvers) {
  std::vector<Resolver> next;
  for (const wire::Endpoint& endpoint : resolvers) {
    if (next.size() == kResolversMax) break;
    const auto known = std::ranges::find(resolvers_, endpoint, &Resolver::endpoint);
    next.push_back(known == resolvers_.end() ? Resolver{.endpoint = endpoint} : *known);
  }
  resolvers_ = std::move(next);
}

DnsQueryOutcome DnsRelay::on_query(const wire::Endpoint& client, ByteView message, Instant now,
                                   Actions& out) {
  if (message.size() < kHeader || message.size() > kQuerySizeMax)
    return DnsQueryOutcome::kMalformed;
  const DnsHeader header = DnsHeader::parse(message.first<kHeader>());
  // An answer to an answer could go on for ever.
  if (header.response) return DnsQueryOutcome::kMalformed;
  const auto query = DnsView::parse(message);
  const bool plain = query && has_plain_question(*query);
  if (header.opcode != 0) {
    const std::size_t head = plain ? kHeader + query->question_bytes().size() : kHeader;
    out.push_back(DnsAnswer{client, bare_reply(message.first(head), DnsRcode::kNotImp, false)});
    return DnsQueryOutcome::kAnswered;
  }
  const auto traits = plain ? read_dns_query(*query) : std::nullopt;
  if (!traits) {
    out.push_back(DnsAnswer{client, bare_reply(message.first(kHeader), DnsRcode::kFormErr, false)});
    return DnsQueryOutcome::kMalformed;
  }

  const DnsKey key(*query, *traits);
  const ByteView head = message.first(kHeader + query->question_bytes().size());
  if (traits->shareable) {
    if (const auto cached = cache_.find(key, *query, now)) {
      out.push_back(DnsAnswer{client, answer_for(head, traits->udp_payload_size, *cached)});
      return DnsQueryOutcome::kAnswered;
    }
  }
  if (resolvers_.empty()) {
    out.push_back(DnsAnswer{client, bare_reply(head, DnsRcode::kServFail, false)});
    return DnsQueryOutcome::kAnswered;
  }
  Client asker{client, {head.begin(), head.end()}, traits->udp_payload_size};
  if (Pending* equal = find_equal(key)) {
    // Also what may not be shared: a client that repeats its query asks for no second answer.
    const bool repeated = std::ranges::any_of(equal->clients, [&](const Client& c) {
      return c.endpoint == asker.endpoint && c.head == asker.head;
    });
    if (repeated) return DnsQueryOutcome::kRepeated;
    if (equal->shareable && traits->shareable) return join(*equal, std::move(asker));
  }
  Pending* pending = allocate();
  if (pending == nullptr) return DnsQueryOutcome::kTooMany;
  pending->shareable = traits->shareable;
  pending->key = key;
  pending->query = upstream_query(message, *traits);
  pending->clients.push_back(std::move(asker));
  pending->started = now;
  pending->resolver = choose_resolver(0, now);
  attempt(*pending, false, now, out);
  return DnsQueryOutcome::kForwarded;
}

void DnsRelay::on_upstream_udp(DnsSlot slot, ByteView message, Instant now, Actions& out) {
  Pending* pending = find(slot);
  if (pending == nullptr || pending->tcp) return;
  const auto answer = DnsView::parse(message);
  if (!answer || !answers(*pending, *answer)) {
    ++rejected_answers_;
    return;
  }
  if (pending->resolver < resolvers_.size()) {
    resolvers_[pending->resolver].last_answer = now;
    resolvers_[pending->resolver].dead_until = {};
  }
  if (answer->header().truncated) {
    pending->saw_truncated = true;
    if (resolvers_.empty()) return fail(*pending, out);
    close(*pending, out);
    pending->resolver = std::min(pending->resolver, resolvers_.size() - 1);
    return attempt(*pending, true, now, out);
  }
  // This resolver cannot or will not; another may (as stub resolvers do, resolv.conf(5)).
  const DnsRcode rcode = answer->header().rcode;
  if ((rcode == DnsRcode::kServFail || rcode == DnsRcode::kRefused) &&
      pending->attempts < resolvers_.size()) {
    return next_resolver(*pending, now, out);
  }
  deliver(*pending, *answer, now, out);
}

void DnsRelay::on_upstream_tcp(DnsSlot slot, ByteView message, Instant now, Actions& out) {
  Pending* pending = find(slot);
  if (pending == nullptr || !pending->tcp) return;
  const auto answer = DnsView::parse(message);
  if (!answer || !answers(*pending, *answer)) {
    // Nothing better will follow on this connection.
    ++rejected_answers_;
    ++pending->errors;
    return next_resolver(*pending, now, out);
  }
  deliver(*pending, *answer, now, out);
}

void DnsRelay::on_upstream_error(DnsSlot slot, Instant now, Actions& out) {
  Pending* pending = find(slot);
  if (pending == nullptr) return;
  ++pending->errors;
  // A resolver that answers by UDP but refuses TCP is not dead.
  if (!pending->tcp && pending->resolver < resolvers_.size()) {
    resolvers_[pending->resolver].dead_until = now + kDeadFor;
  }
  next_resolver(*pending, now, out);
}

void DnsRelay::on_timer(Instant now, Actions& out) {
  for (Pending& pending : pending_) {
    if (!pending.active || pending.deadline > now) continue;
    if (!pending.tcp && pending.resolver < resolvers_.size()) {
      // A resolver that answered others meanwhile is only slow with this question.
      Resolver& silent = resolvers_[pending.resolver];
      if (silent.last_answer < pending.sent) silent.dead_until = now + kDeadFor;
    }
    next_resolver(pending, now, out);
  }
}

Instant DnsRelay::next_deadline() const {
  Instant earliest = kNever;
  if (active_ == 0) return earliest;
  for (const Pending& pending : pending_) {
    if (pending.active) earliest = std::min(earliest, pending.deadline);
  }
  return earliest;
}

DnsRelay::Pending* DnsRelay::find(DnsSlot slot) {
  const std::size_t index = slot.value & 0xffff;
  if (index >= pending_.size()) return nullptr;
  Pending& pending = pending_[index];
  return pending.active && pending.generation == slot.value >> 16 ? &pending : nullptr;
}

DnsRelay::Pending* DnsRelay::find_equal(const DnsKey& key) {
  const auto found = std::ranges::find_if(pending_, [&](const Pending& pending) {
    return pending.active && std::ranges::equal(pending.key->bytes(), key.bytes());
  });
  return found == pending_.end() ? nullptr : &*found;
}

DnsRelay::Pending* DnsRelay::allocate() {
  if (active_ >= limits_.pending_max) return nullptr;
  auto free = std::ranges::find(pending_, false, &Pending::active);
  if (free == pending_.end()) free = pending_.emplace(pending_.end());
  const std::uint16_t generation = free->generation;
  *free = Pending{.active = true, .generation = generation};
  ++active_;
  return &*free;
}

DnsSlot DnsRelay::slot_of(const Pending& pending) const {
  const auto index = static_cast<std::uint32_t>(&pending - pending_.data());
  return {std::uint32_t{pending.generation} << 16 | index};
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

// The first that is not known to be dead, from `first` on and around; `first` if all are.
std::size_t DnsRelay::choose_resolver(std::size_t first, Instant now) const {
  for (std::size_t i = 0; i < resolvers_.size(); ++i) {
    const std::size_t index = (first + i) % resolvers_.size();
    if (resolvers_[index].dead_until <= now) return index;
  }
  return first % resolvers_.size();
}

DnsQueryOutcome DnsRelay::join(Pending& pending, Client client) {
  if (pending.clients.size() >= limits_.clients_per_question_max) return DnsQueryOutcome::kTooMany;
  pending.clients.push_back(std::move(client));
  return DnsQueryOutcome::kForwarded;
}

void DnsRelay::attempt(Pending& pending, bool tcp, Instant now, Actions& out) {
  ++pending.generation;
  pending.tcp = tcp;
  pending.id = next_id();
  pending.sent = now;
  put16<0>(MutableBytes(pending.query).first<2>(), pending.id);
  const wire::Endpoint& resolver = resolvers_[pending.resolver].endpoint;
  if (tcp) {
    pending.deadline = now + kTcpTimeout;
    out.push_back(OpenDnsTcp{slot_of(pending), pending.resolver, resolver, pending.query});
  } else {
    const std::size_t round = std::min(pending.attempts / resolvers_.size(), kRoundsMax - 1);
    pending.deadline = now + kFirstTimeout * (1 << round);
    ++pending.attempts;
    out.push_back(OpenDnsUdp{slot_of(pending), pending.resolver, resolver, pending.query});
  }
  pending.deadline = std::min(pending.deadline, pending.started + kGiveUpAfter);
}

void DnsRelay::next_resolver(Pending& pending, Instant now, Actions& out) {
  // A server that cannot be reached over TCP does not become reachable by asking it again.
  const bool spent = pending.errors >= resolvers_.size() ||
                     pending.attempts >= kRoundsMax * resolvers_.size() ||
                     now >= pending.started + kGiveUpAfter;
  if (spent || pending.saw_truncated) return fail(pending, out);
  close(pending, out);
  pending.resolver = choose_resolver(pending.resolver + 1, now);
  attempt(pending, false, now, out);
}

// Whether this is the answer to what we asked (RFC 5452, 3 and 9.1).
bool DnsRelay::answers(const Pending& pending, const DnsView& answer) const {
  const DnsHeader& header = answer.header();
  if (!header.response || header.opcode != 0 || header.id != pending.id) return false;
  if (!has_plain_question(answer)) return false;
  const auto asked = DnsView::parse(pending.query);
  return asked && *asked->question() == *answer.question();
}

void DnsRelay::deliver(Pending& pending, const DnsView& answer, Instant now, Actions& out) {
  if (pending.shareable) cache_.store(*pending.key, answer, now);
  for (const Client& client : pending.clients) {
    out.push_back(DnsAnswer{client.endpoint,
                            answer_for(client.head, client.udp_payload_size, answer.message())});
  }
  finish(pending, out);
}

void DnsRelay::fail(Pending& pending, Actions& out) {
  // There is an answer, only not one that we could fetch: the client may try TCP itself.
  const bool truncated = pending.saw_truncated;
  const DnsRcode rcode = truncated ? DnsRcode::kNoError : DnsRcode::kServFail;
  for (const Client& client : pending.clients) {
    out.push_back(DnsAnswer{client.endpoint, bare_reply(client.head, rcode, truncated)});
  }
  finish(pending, out);
}

void DnsRelay::close(Pending& pending, Actions& out) { out.push_back(CloseDns{slot_of(pending)}); }

void DnsRelay::finish(Pending& pending, Actions& out) {
  close(pending, out);
  const std::uint16_t generation = pending.generation;
  pending = Pending{.generation = generation};
  --active_;
}

}  // namespace sluice::flow
