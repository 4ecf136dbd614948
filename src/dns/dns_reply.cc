#include "dns/dns_reply.h"

#include <algorithm>

#include "wire/messages/edns.h"

namespace sluice::dns {
namespace {

constexpr std::size_t kHeader = wire::kDnsHeaderSize;

}  // namespace

std::vector<std::uint8_t> bare_dns_reply(ByteView query, wire::DnsRcode rcode, bool truncated) {
  std::vector<std::uint8_t> reply(query.begin(), query.end());
  const FixedBytes<kHeader> bytes = MutableBytes(reply).first<kHeader>();
  wire::DnsHeader header = wire::DnsHeader::parse(bytes);
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

std::vector<std::uint8_t> local_dns_answer(ByteView head, bool edns, std::size_t size_max,
                                           const LocalAnswer& answer) {
  const auto query = wire::DnsView::parse(head);
  if (!query || !query->question()) return bare_dns_reply(head, answer.rcode);
  std::vector<std::uint8_t> reply(size_max);
  wire::DnsHeader header = query->header();
  header.response = true;
  header.authoritative = false;
  header.truncated = false;
  header.authentic_data = false;
  header.recursion_available = true;
  header.rcode = answer.rcode;
  wire::DnsBuilder builder(reply, header);
  builder.add_question(*query->question());
  if (answer.pointer) {
    builder.add_record(wire::DnsSection::kAnswer, query->question()->name, wire::DnsType::kPtr,
                       wire::DnsClass::kIn, answer.ttl, answer.pointer->wire());
  }
  if (answer.address) {
    const bool v4 = answer.address->is_v4();
    const ByteView octets =
        v4 ? ByteView(answer.address->v4_octets()) : ByteView(answer.address->octets());
    builder.add_record(wire::DnsSection::kAnswer, query->question()->name,
                       v4 ? wire::DnsType::kA : wire::DnsType::kAaaa, wire::DnsClass::kIn,
                       answer.ttl, octets);
  }
  if (edns) {
    wire::EdnsRecord record;
    if (!answer.why.empty()) record.error = wire::ExtendedDnsError{.text = answer.why};
    wire::add_edns(builder, record);
  }
  const auto size = builder.finish();
  if (!size) return bare_dns_reply(head, wire::DnsRcode::kNoError, true);
  reply.resize(*size);
  return reply;
}

std::vector<std::uint8_t> upstream_dns_query(ByteView message, const DnsQueryTraits& traits) {
  if (!traits.options_offset) return {message.begin(), message.end()};
  const ByteView kept = message.first(*traits.options_offset);
  std::vector<std::uint8_t> query(kept.begin(), kept.end());
  put16<0>(MutableBytes(query).last<2>(), 0);  // The length of the options stands before them.
  return query;
}

std::vector<std::uint8_t> judged_dns_query(const wire::DnsView& query,
                                           const DnsQueryTraits& traits) {
  constexpr std::size_t kTypeAndClass = 4;
  constexpr std::size_t kEdns = 11;
  const wire::DnsHeader& asked = query.header();
  const wire::DnsQuestion& question = *query.question();
  const std::size_t name_size = question.name.wire().size();
  std::vector<std::uint8_t> written(kHeader + name_size + kTypeAndClass +
                                    (traits.edns ? kEdns : 0));
  wire::DnsBuilder builder(written, {.recursion_desired = asked.recursion_desired,
                                     .authentic_data = asked.authentic_data,
                                     .checking_disabled = asked.checking_disabled});
  builder.add_question(question);
  if (traits.edns) wire::add_edns(builder, {.dnssec_ok = traits.dnssec_ok});
  // It has room for exactly these.
  if (!builder.finish()) return {};
  // A key begins with the name in lower case.
  std::ranges::copy(DnsKey(query, traits).bytes().first(name_size), written.begin() + kHeader);
  return written;
}

bool is_bare_refusal(const wire::DnsView& answer) {
  const wire::DnsHeader& header = answer.header();
  const bool refuses =
      header.rcode == wire::DnsRcode::kFormErr || header.rcode == wire::DnsRcode::kServFail ||
      header.rcode == wire::DnsRcode::kNotImp || header.rcode == wire::DnsRcode::kRefused;
  return refuses && header.question_count == 0 && header.answer_count == 0;
}

std::vector<std::uint8_t> dns_answer_for(ByteView head, std::size_t size_max,
                                         const wire::DnsView& answer) {
  if (answer.header().question_count == 0) return bare_dns_reply(head, answer.header().rcode);
  const ByteView message = answer.message();
  if (message.size() > size_max) return bare_dns_reply(head, wire::DnsRcode::kNoError, true);
  std::vector<std::uint8_t> reply(message.begin(), message.end());
  // The client's id, and its own spelling of the question: some check the case (0x20).
  std::copy_n(head.begin(), 2, reply.begin());
  std::ranges::copy(head.subspan(kHeader), reply.begin() + kHeader);
  return reply;
}

}  // namespace sluice::dns
