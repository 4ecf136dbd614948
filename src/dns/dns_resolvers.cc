#include "dns/dns_resolvers.h"

#include <algorithm>
#include <utility>

namespace sluice::dns {

bool DnsResolvers::set(const std::vector<wire::Endpoint>& endpoints) {
  std::vector<Resolver> next;
  for (const wire::Endpoint& endpoint : endpoints) {
    if (next.size() == kMax) break;
    const Resolver* known = find(endpoint);
    next.push_back(known == nullptr ? Resolver{.endpoint = endpoint} : *known);
  }
  const bool same = std::ranges::equal(next, resolvers_, {}, &Resolver::endpoint,  //
                                       &Resolver::endpoint);
  resolvers_ = std::move(next);
  return !same;
}

std::size_t DnsResolvers::choose(std::size_t first, Instant now) const {
  for (std::size_t i = 0; i < resolvers_.size(); ++i) {
    const std::size_t index = (first + i) % resolvers_.size();
    if (resolvers_[index].dead_until <= now) return index;
  }
  return first % resolvers_.size();
}

void DnsResolvers::on_answer(const wire::Endpoint& from, Instant now) {
  if (Resolver* resolver = find(from)) {
    resolver->last_answer = now;
    resolver->dead_until = {};
  }
}

void DnsResolvers::on_failure(const wire::Endpoint& of, Instant dead_until) {
  if (Resolver* resolver = find(of)) resolver->dead_until = dead_until;
}

void DnsResolvers::on_silence(const wire::Endpoint& of, Instant asked, Instant dead_until) {
  Resolver* resolver = find(of);
  if (resolver != nullptr && resolver->last_answer < asked) resolver->dead_until = dead_until;
}

DnsResolvers::Resolver* DnsResolvers::find(const wire::Endpoint& endpoint) {
  const auto at = std::ranges::find(resolvers_, endpoint, &Resolver::endpoint);
  return at == resolvers_.end() ? nullptr : &*at;
}

}  // namespace sluice::dns
