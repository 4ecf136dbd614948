// DNS messages for the tests of the cache, the names and the relay.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "wire/messages/dns.h"

namespace sluice::dns::test {

using Bytes = std::vector<std::uint8_t>;

struct QueryOptions {
  std::uint16_t id = 0x1111;
  wire::DnsType type = wire::DnsType::kA;
  std::uint16_t edns_size = 0;  // Zero: no EDNS record.
  bool dnssec_ok = false;
  bool checking_disabled = false;
  Bytes edns_options{};
};

inline Bytes finish(wire::DnsBuilder& builder, Bytes& buffer) {
  buffer.resize(builder.finish().value());
  return buffer;
}

inline Bytes make_query(std::string_view name, const QueryOptions& options = {}) {
  Bytes buffer(2048);
  wire::DnsBuilder builder(buffer, {.id = options.id,
                                    .recursion_desired = true,
                                    .checking_disabled = options.checking_disabled});
  builder.add_question(
      {wire::DomainName::from_text(name).value(), options.type, wire::DnsClass::kIn});
  if (options.edns_size != 0) {
    builder.add_record(wire::DnsSection::kAdditional, wire::DomainName(), wire::DnsType::kOpt,
                       wire::DnsClass{options.edns_size}, options.dnssec_ok ? 0x8000 : 0,
                       options.edns_options);
  }
  return finish(builder, buffer);
}

struct Record {
  std::string_view address;
  std::uint32_t ttl = 300;
};

struct AnswerOptions {
  std::vector<Record> records{};
  wire::DnsRcode rcode = wire::DnsRcode::kNoError;
  bool truncated = false;
  std::string_view alias{};  // The name that the addresses belong to, by a CNAME.
  std::uint32_t alias_ttl = 300;
  bool soa = false;
  std::uint32_t soa_ttl = 0;
  std::uint32_t soa_minimum = 0;
  std::size_t padding = 0;  // Bytes of TXT behind the answer.
};

// Answers `query` with its id and question.
inline Bytes make_answer(const Bytes& query, const AnswerOptions& options) {
  const wire::DnsView view = wire::DnsView::parse(query).value();
  const wire::DnsQuestion question = *view.question();
  Bytes buffer(20'000);
  wire::DnsBuilder builder(buffer, {.id = view.header().id,
                                    .response = true,
                                    .truncated = options.truncated,
                                    .recursion_desired = true,
                                    .recursion_available = true,
                                    .rcode = options.rcode});
  builder.add_question(question);
  wire::DomainName owner = question.name;
  if (!options.alias.empty()) {
    owner = wire::DomainName::from_text(options.alias).value();
    builder.add_record(wire::DnsSection::kAnswer, question.name, wire::DnsType::kCname,
                       wire::DnsClass::kIn, options.alias_ttl, owner.wire());
  }
  for (const Record& record : options.records) {
    builder.add_address(wire::DnsSection::kAnswer, owner, record.ttl,
                        wire::parse_ip(record.address).value());
  }
  for (std::size_t left = options.padding; left > 0;) {
    const std::size_t part = std::min<std::size_t>(left, 200);
    Bytes text(part + 1, 'x');
    text[0] = static_cast<std::uint8_t>(part);
    builder.add_record(wire::DnsSection::kAnswer, owner, wire::DnsType::kTxt, wire::DnsClass::kIn,
                       300, text);
    left -= part;
  }
  if (options.soa) {
    Bytes data{0, 0};  // The root for both names.
    for (const std::uint32_t number : {1U, 2U, 3U, 4U, options.soa_minimum}) {
      for (int shift = 24; shift >= 0; shift -= 8) {
        data.push_back(static_cast<std::uint8_t>(number >> shift));
      }
    }
    builder.add_record(wire::DnsSection::kAuthority, wire::DomainName(), wire::DnsType::kSoa,
                       wire::DnsClass::kIn, options.soa_ttl, data);
  }
  return finish(builder, buffer);
}

inline std::uint32_t first_ttl(ByteView message) {
  return wire::DnsView::parse(message).value().records().next().value().ttl;
}

}  // namespace sluice::dns::test
