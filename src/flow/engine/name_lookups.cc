#include "flow/engine/name_lookups.h"

#include <algorithm>
#include <utility>

#include "wire/messages/edns.h"

namespace sluice::flow {
namespace {

constexpr std::size_t kQuestionMax = 512;

std::vector<std::uint8_t> question_for(const wire::DomainName& name, wire::DnsType type) {
  std::vector<std::uint8_t> message(kQuestionMax);
  wire::DnsHeader header{};
  header.recursion_desired = true;
  wire::DnsBuilder builder(message, header);
  builder.add_question({.name = name, .type = type, .klass = wire::DnsClass::kIn});
  wire::add_edns(builder, {});
  message.resize(builder.finish().value_or(0));
  return message;
}

// A question is known by its lookup and its family.
dns::DnsLookupId id_of(SlabHandle lookup, std::size_t family) {
  return {{.index = lookup.index * 2 + static_cast<std::uint32_t>(family),
           .generation = lookup.generation}};
}

}  // namespace

NameLookups::Begun NameLookups::begin(dns::NameId id, const wire::DomainName& name,
                                      const FindTarget* waiting,
                                      std::array<Question, 2>& questions) {
  if (waiting != nullptr && waiting_ >= kWaitingMax) return Begun::kFull;
  const auto known = by_name_.find(id.index);
  const bool fresh = known == by_name_.end();
  if (fresh && lookups_.size() >= kLookupsMax) return Begun::kFull;
  const SlabHandle handle = fresh ? lookups_.emplace() : known->second;
  Lookup& lookup = lookups_.at(handle.index);
  if (waiting != nullptr) {
    lookup.found.waiting.push_back(*waiting);
    ++waiting_;
  }
  if (!fresh) return Begun::kJoined;
  lookup.name = id.index;
  by_name_.emplace(id.index, handle);
  questions[0] = {{.endpoint = {}, .asked = {}, .stream = {}, .lookup = id_of(handle, 0)},
                  question_for(name, wire::DnsType::kA)};
  questions[1] = {{.endpoint = {}, .asked = {}, .stream = {}, .lookup = id_of(handle, 1)},
                  question_for(name, wire::DnsType::kAaaa)};
  return Begun::kFresh;
}

void NameLookups::on_answer(const dns::DnsClient& client, DnsJudge::Leads leads, Instant now) {
  const SlabHandle handle{client.lookup.index / 2, client.lookup.generation};
  const std::size_t family = client.lookup.index % 2;
  Lookup* lookup = lookups_.find(handle);
  if (lookup == nullptr || lookup->answered[family]) return;
  lookup->answered[family] = true;
  std::erase_if(leads.addresses,
                [&](const wire::IpAddress& address) { return address.is_v4() != (family == 0); });
  if (leads.verdict != policy::Verdict::kAccepted) lookup->found.verdict = leads.verdict;
  const bool any = !leads.addresses.empty();
  (family == 0 ? lookup->found.v4 : lookup->found.v6) = std::move(leads.addresses);
  if (lookup->answered[0] && lookup->answered[1]) {
    finish(handle);
  } else if (any) {
    lookup->due = now + kOtherFamily;
    next_ = std::min(next_, lookup->due);
  }
}

void NameLookups::finish(SlabHandle handle) {
  Lookup& lookup = lookups_.at(handle.index);
  waiting_ -= lookup.found.waiting.size();
  found_.push_back(std::move(lookup.found));
  by_name_.erase(lookup.name);
  lookups_.erase(handle);
}

void NameLookups::on_timer(Instant now) {
  std::vector<SlabHandle> due;
  next_ = kNever;
  lookups_.for_each([&](SlabHandle handle, const Lookup& lookup) {
    if (lookup.due <= now) {
      due.push_back(handle);
    } else {
      next_ = std::min(next_, lookup.due);
    }
  });
  for (const SlabHandle handle : due) finish(handle);
}

}  // namespace sluice::flow
