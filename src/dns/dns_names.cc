#include "dns/dns_names.h"

namespace sluice::dns {

void DnsNames::learn(const wire::DnsView& answer) {
  const wire::DnsHeader& header = answer.header();
  if (!header.response || header.rcode != wire::DnsRcode::kNoError || !answer.question()) return;
  const auto question = answer.question();
  if (!question) return;
  std::string name;
  for (wire::DnsRecordReader records = answer.records(); !records.done();) {
    const auto record = records.next();
    if (!record || record->section != wire::DnsSection::kAnswer) return;
    const auto address = wire::dns_address(*record);
    if (!address) continue;
    if (name.empty()) name = question->name.to_text();
    learn(*address, name);
  }
}

void DnsNames::learn(const wire::IpAddress& address, std::string_view name) {
  if (entries_max_ == 0) return;
  if (const auto found = index_.find(address); found != index_.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
    if (entries_.front().name != name) entries_.front().name = name;
    return;
  }
  if (entries_.size() >= entries_max_) {
    index_.erase(entries_.back().address);
    entries_.pop_back();
  }
  entries_.push_front({address, std::string(name)});
  index_.emplace(address, entries_.begin());
}

std::string_view DnsNames::lookup(const wire::IpAddress& address) {
  const auto found = index_.find(address);
  if (found == index_.end()) return {};
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->name;
}

}  // namespace sluice::dns
