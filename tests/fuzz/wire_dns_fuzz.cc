// DNS messages: the walk over questions and records, names as text, and replies built from them.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "require.h"
#include "wire/messages/dns.h"

using namespace sluice;
using namespace sluice::wire;

namespace {

void check_name(const DomainName& name) {
  require(name.wire().size() <= kDomainNameSizeMax, "a name has at most 255 bytes");
  require(name.wire().back() == 0, "a name ends with the root");
  require(name.is_within(name) && name.is_within(DomainName()), "a name is within itself");
  const auto again = DomainName::from_text(name.to_text());
  require(again.has_value(), "a name's text is a name");
  require(std::ranges::equal(again->wire(), name.wire()), "and it is the same name");
}

void check_record(ByteView message, const DnsRecord& record) {
  check_name(record.name);
  require(record.rdata_offset + record.rdata.size() <= message.size(), "data lies inside");
  require(be32<0>(message.subspan(record.ttl_offset).first<4>()) == record.ttl, "TTL is there");
  if (const auto target = dns_target_name(message, record)) check_name(*target);
  (void)dns_soa_minimum(message, record);
  (void)dns_address(record);
}

void check_reply(const DnsView& view) {
  std::vector<std::uint8_t> out(view.message().size());
  const auto length = emit_dns_reply(view, DnsRcode::kNxDomain, out);
  require(length.has_value(), "an empty reply is no longer than the message");
  const auto reply = DnsView::parse(ByteView(out).first(*length));
  require(reply.has_value(), "a reply is valid");
  require(reply->header().id == view.header().id && reply->header().response, "it answers");
  require(reply->question() == view.question(), "the same question");
  require(reply->records().done(), "without records");
}

// Builds the same message anew and compares what can be compared without knowing every type.
void check_builder(const DnsView& view, const std::vector<DnsRecord>& records) {
  std::vector<std::uint8_t> out(view.message().size() + 300 * (records.size() + 1));
  DnsBuilder builder(out, view.header());
  if (view.question()) builder.add_question(*view.question());
  for (const DnsRecord& record : records) {
    builder.add_record(record.section, record.name, record.type, record.klass, record.ttl,
                       record.rdata);
  }
  const auto length = builder.finish();
  require(length.has_value(), "there was room");
  const auto again = DnsView::parse(ByteView(out).first(*length));
  require(again.has_value() && again->question() == view.question(), "a built message is valid");
  DnsRecordReader reader = again->records();
  for (const DnsRecord& record : records) {
    require(!reader.done(), "no record is lost");
    const auto copy = reader.next();
    require(copy.has_value() && copy->name == record.name && copy->type == record.type &&
                copy->ttl == record.ttl && copy->section == record.section &&
                std::ranges::equal(copy->rdata, record.rdata),
            "no record changes");
  }
  require(reader.done(), "no record is made up");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView message(data, size);
  const auto view = DnsView::parse(message);
  if (!view) return 0;
  if (view->question()) check_name(view->question()->name);
  require(dns_udp_payload_size(*view) >= 512, "512 bytes are always taken");
  std::vector<DnsRecord> records;
  for (DnsRecordReader reader = view->records(); !reader.done();) {
    const auto record = reader.next();
    if (!record) {
      require(reader.done(), "an error ends the walk");
      break;
    }
    check_record(message, *record);
    records.push_back(*record);
  }
  check_reply(*view);
  check_builder(*view, records);
  return 0;
}
