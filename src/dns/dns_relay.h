// Relays the guest's DNS queries to the host's resolvers (RFC 1035; RFC 5625 for proxies).
//
// Each attempt to get an answer is a slot: the driver asks from a connected socket with a random
// port, so that only the resolver asked can answer, and forgets the attempt when told to. The relay
// gives each attempt an id of its own and believes only an answer that repeats the question
// (RFC 5452), or the bare refusal of a server that could not read it. A silent or failing resolver
// gives way to the next; a truncated answer is asked for again over TCP. Equal questions at the
// same time share one attempt; what may be cached is, until the resolvers change.
//
// Nothing calls out: each event appends to a list of actions. Bounds: questions at once, clients of
// one question and of all, the cache, the time for one question. At a bound the client is told so
// (SERVFAIL). One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/siphash.h"
#include "base/time.h"
#include "dns/dns_cache.h"
#include "dns/dns_counters.h"
#include "dns/dns_pending.h"
#include "dns/dns_query.h"
#include "dns/dns_resolvers.h"
#include "dns/query_judge.h"
#include "dns/query_watch.h"
#include "wire/address.h"
#include "wire/messages/dns.h"

namespace sluice::dns {

// For the guest, from the address that it asked.
struct DnsAnswer {
  DnsClient client{};
  std::vector<std::uint8_t> message{};
};
// Send `message` to `resolver` from a connected UDP socket. What comes back with its id goes to
// on_upstream_udp(), a failure to on_upstream_error().
struct OpenDnsUdp {
  DnsSlot slot{};
  std::size_t resolver_index = 0;  // In the list of set_resolvers().
  wire::Endpoint resolver{};
  std::vector<std::uint8_t> message{};
};
// The same over TCP; the driver writes and reads the two bytes of length (RFC 1035, 4.2.2).
struct OpenDnsTcp {
  DnsSlot slot{};
  std::size_t resolver_index = 0;
  wire::Endpoint resolver{};
  std::vector<std::uint8_t> message{};
};
struct CloseDns {
  DnsSlot slot{};
};
using DnsAction = std::variant<DnsAnswer, OpenDnsUdp, OpenDnsTcp, CloseDns>;

enum class DnsQueryOutcome : std::uint8_t {
  kAnswered,   // At once: from the cache, by the judge, or with an error.
  kForwarded,  // Sent upstream, or joined to an equal question that was.
  kRepeated,   // The same client asks the same again while we still ask: nothing to do.
  kMalformed,  // No query at all: not answered.
  kFormError,  // A query that cannot be read: FORMERR.
  kTooMany,    // A bound is reached: SERVFAIL.
};

// A parallel build asks thousands of names at once, and hundreds of its programs ask the same one.
struct DnsRelayLimits {
  std::size_t pending_max = 4096;
  std::size_t clients_per_question_max = 1024;
  std::size_t clients_max = 16'384;  // Of all questions.
  DnsCacheLimits cache{};
};

// How resolvers are asked first ("options use-vc" of resolv.conf).
enum class DnsUpstream : std::uint8_t { kUdpFirst, kTcpOnly };

class DnsRelay {
 public:
  static constexpr Duration kFirstTimeout = std::chrono::seconds{1};  // Doubles each round.
  static constexpr Duration kTcpTimeout = std::chrono::seconds{5};
  static constexpr Duration kGiveUpAfter = std::chrono::seconds{10};
  static constexpr Duration kDeadFor = std::chrono::seconds{10};
  static constexpr std::size_t kRoundsMax = 3;
  static constexpr std::size_t kQuerySizeMax = 4096;
  static constexpr std::size_t kStreamAnswerMax = 65'535;

  using Actions = std::vector<DnsAction>;

  explicit DnsRelay(const SipKey& seed, const DnsRelayLimits& limits = {});

  // Best first. Attempts under way go on as they are; what other resolvers said is forgotten,
  // because another network may have other names.
  void set_resolvers(const std::vector<wire::Endpoint>& resolvers,
                     DnsUpstream upstream = DnsUpstream::kUdpFirst);

  // Who is asked about each question and each answer from here on, except for our own, whose owner
  // judges what comes; nobody to begin with. Not owned.
  void set_judge(QueryJudge* judge) { judge_ = judge; }
  // Who is told of answers; nobody to begin with. Not owned.
  void set_watch(QueryWatch* watch) { watch_ = watch; }

  // A message of the guest to port 53 of the DNS address, or a question of our own.
  DnsQueryOutcome on_query(const DnsClient& client, ByteView message, Instant now, Actions& out);
  // Events of a slot that is closed by now are ignored, as is an answer that does not fit.
  void on_upstream_udp(DnsSlot slot, ByteView message, Instant now, Actions& out);
  void on_upstream_tcp(DnsSlot slot, ByteView message, Instant now, Actions& out);
  void on_upstream_error(DnsSlot slot, Instant now, Actions& out);

  void on_timer(Instant now, Actions& out);
  [[nodiscard]] Instant next_deadline() const { return pending_.next_deadline(); }

  [[nodiscard]] std::size_t pending() const { return pending_.size(); }
  [[nodiscard]] std::size_t clients() const { return pending_.askers(); }
  [[nodiscard]] const DnsCache& cache() const { return cache_; }
  // Answers that were not to the question, or malformed.
  [[nodiscard]] std::uint64_t rejected_answers() const { return rejected_answers_; }
  [[nodiscard]] const DnsCounters& counters() const { return counters_; }

 private:
  [[nodiscard]] std::uint16_t next_id();
  DnsQueryOutcome ask(const wire::DnsView& query, const DnsQueryTraits& traits, const DnsKey& key,
                      DnsAsker asker, Instant now, Actions& out);
  // As a DnsAsker, while its query is at hand.
  struct Asked {
    const DnsClient& client;
    ByteView head;
    std::size_t size_max;
    bool edns;
  };
  [[nodiscard]] JudgedAnswer judge(const wire::DnsView& answer, Instant now) const;
  static void reply(const Asked& asked, const wire::DnsView& answer, const JudgedAnswer& judged,
                    Actions& out);
  void attempt(DnsPending& pending, bool tcp, Instant now, Actions& out);
  void next_resolver(DnsPending& pending, Instant now, Actions& out);
  [[nodiscard]] static bool answers(const DnsPending& pending, const wire::DnsView& answer);
  void deliver(DnsPending& pending, const wire::DnsView& answer, Instant now, Actions& out);
  void fail(DnsPending& pending, Actions& out);
  void finish(DnsPending& pending, Actions& out);

  // `answer` as the judge has left it.
  void tell(const wire::DnsView& answer, const JudgedAnswer& judged, AnswerSource source) const;

  QueryJudge* judge_ = nullptr;
  QueryWatch* watch_ = nullptr;
  SipKey cache_key_;
  SipKey id_key_;
  std::uint64_t id_counter_ = 0;
  DnsRelayLimits limits_;
  DnsCache cache_;
  DnsResolvers resolvers_;
  DnsUpstream upstream_ = DnsUpstream::kUdpFirst;
  std::uint32_t epoch_ = 0;
  DnsPendingTable pending_;
  std::uint64_t rejected_answers_ = 0;
  DnsCounters counters_;
};

}  // namespace sluice::dns
