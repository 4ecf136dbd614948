#include "wire/messages/dns.h"

#include <algorithm>

namespace sluice::wire {
namespace {

constexpr std::uint16_t kResponseBit = 0x8000;
constexpr std::uint16_t kAuthoritativeBit = 0x0400;
constexpr std::uint16_t kTruncatedBit = 0x0200;
constexpr std::uint16_t kRecursionDesiredBit = 0x0100;
constexpr std::uint16_t kRecursionAvailableBit = 0x0080;
constexpr std::uint16_t kAuthenticDataBit = 0x0020;
constexpr std::uint16_t kCheckingDisabledBit = 0x0010;

constexpr std::uint16_t kUdpPayloadSizeMin = 512;

}  // namespace

DnsHeader DnsHeader::parse(FixedView<kDnsHeaderSize> bytes) {
  const std::uint16_t flags = be16<2>(bytes);
  return {.id = be16<0>(bytes),
          .response = (flags & kResponseBit) != 0,
          .opcode = static_cast<std::uint8_t>((flags >> 11) & 0xf),
          .authoritative = (flags & kAuthoritativeBit) != 0,
          .truncated = (flags & kTruncatedBit) != 0,
          .recursion_desired = (flags & kRecursionDesiredBit) != 0,
          .recursion_available = (flags & kRecursionAvailableBit) != 0,
          .authentic_data = (flags & kAuthenticDataBit) != 0,
          .checking_disabled = (flags & kCheckingDisabledBit) != 0,
          .rcode = DnsRcode{static_cast<std::uint8_t>(flags & 0xf)},
          .question_count = be16<4>(bytes),
          .answer_count = be16<6>(bytes),
          .authority_count = be16<8>(bytes),
          .additional_count = be16<10>(bytes)};
}

void DnsHeader::emit(FixedBytes<kDnsHeaderSize> bytes) const {
  unsigned flags = (opcode & 0xfU) << 11 | (static_cast<unsigned>(rcode) & 0xfU);
  if (response) flags |= kResponseBit;
  if (authoritative) flags |= kAuthoritativeBit;
  if (truncated) flags |= kTruncatedBit;
  if (recursion_desired) flags |= kRecursionDesiredBit;
  if (recursion_available) flags |= kRecursionAvailableBit;
  if (authentic_data) flags |= kAuthenticDataBit;
  if (checking_disabled) flags |= kCheckingDisabledBit;
  put16<0>(bytes, id);
  put16<2>(bytes, static_cast<std::uint16_t>(flags));
  put16<4>(bytes, question_count);
  put16<6>(bytes, answer_count);
  put16<8>(bytes, authority_count);
  put16<10>(bytes, additional_count);
}

std::expected<DnsQuestion, ParseError> DnsQuestionReader::next() {
  auto name = read_name(message_, at_, kDnsHeaderSize);
  if (!name) {
    left_ = 0;
    return std::unexpected(name.error());
  }
  ByteReader fields(message_.subspan(name->next));
  const DnsType type{fields.u16()};
  const DnsClass klass{fields.u16()};
  if (!fields.ok()) {
    left_ = 0;
    return std::unexpected(ParseError::kTruncated);
  }
  at_ = name->next + fields.position();
  --left_;
  return DnsQuestion{name->name, type, klass};
}

std::expected<DnsView, ParseError> DnsView::parse(ByteView message) {
  if (message.size() < kDnsHeaderSize) return std::unexpected(ParseError::kTruncated);
  DnsView view(message, DnsHeader::parse(message.first<kDnsHeaderSize>()));
  DnsQuestionReader questions(message, view.header_.question_count);
  while (!questions.done()) {
    auto question = questions.next();
    if (!question) return std::unexpected(question.error());
    if (!view.question_) view.question_ = *question;
  }
  view.records_at_ = questions.position();
  return view;
}

std::expected<DnsRecord, ParseError> DnsRecordReader::next() {
  const auto fail = [this](ParseError error) {
    left_ = {};
    return std::unexpected(error);
  };
  auto name = read_name(message_, at_, kDnsHeaderSize);
  if (!name) return fail(name.error());
  ByteReader fields(message_.subspan(name->next));
  DnsRecord record;
  record.name = name->name;
  record.type = DnsType{fields.u16()};
  record.klass = DnsClass{fields.u16()};
  record.ttl_offset = name->next + fields.position();
  record.ttl = fields.u32();
  const std::size_t length = fields.u16();
  record.rdata_offset = name->next + fields.position();
  record.rdata = fields.take(length);
  if (!fields.ok()) return fail(ParseError::kTruncated);
  at_ = name->next + fields.position();
  const std::size_t section = left_[0] > 0 ? 0 : (left_[1] > 0 ? 1 : 2);
  record.section = static_cast<DnsSection>(section);
  --left_[section];
  return record;
}

std::optional<IpAddress> dns_address(const DnsRecord& record) {
  if (record.klass != DnsClass::kIn) return std::nullopt;
  if (record.type == DnsType::kA && record.rdata.size() == 4) {
    return IpAddress::v4(record.rdata.first<4>());
  }
  if (record.type == DnsType::kAaaa && record.rdata.size() == 16) {
    return IpAddress::v6(record.rdata.first<16>());
  }
  return std::nullopt;
}

std::expected<DomainName, ParseError> dns_target_name(ByteView message, const DnsRecord& record) {
  if (record.type != DnsType::kCname && record.type != DnsType::kNs &&
      record.type != DnsType::kPtr) {
    return std::unexpected(ParseError::kUnsupported);
  }
  const std::size_t end = record.rdata_offset + record.rdata.size();
  auto name = read_name(message.first(end), record.rdata_offset, kDnsHeaderSize);
  if (!name) return std::unexpected(name.error());
  if (name->next != end) return std::unexpected(ParseError::kBadLength);
  return name->name;
}

std::expected<std::uint32_t, ParseError> dns_soa_minimum(ByteView message,
                                                         const DnsRecord& record) {
  if (record.type != DnsType::kSoa) return std::unexpected(ParseError::kUnsupported);
  const std::size_t end = record.rdata_offset + record.rdata.size();
  const ByteView bounded = message.first(end);
  const auto primary = read_name(bounded, record.rdata_offset, kDnsHeaderSize);
  if (!primary) return std::unexpected(primary.error());
  const auto mailbox = read_name(bounded, primary->next, kDnsHeaderSize);
  if (!mailbox) return std::unexpected(mailbox.error());
  constexpr std::size_t kNumbersSize = 20;  // serial, refresh, retry, expire, minimum
  const ByteView numbers = bounded.subspan(mailbox->next);
  if (numbers.size() != kNumbersSize) return std::unexpected(ParseError::kBadLength);
  return be32<16>(numbers.first<kNumbersSize>());
}

std::uint16_t dns_udp_payload_size(const DnsView& view) {
  for (DnsRecordReader records = view.records(); !records.done();) {
    const auto record = records.next();
    if (!record) break;
    if (record->type == DnsType::kOpt) {
      return std::max(static_cast<std::uint16_t>(record->klass), kUdpPayloadSizeMin);
    }
  }
  return kUdpPayloadSizeMin;
}

DnsBuilder::DnsBuilder(MutableBytes out, const DnsHeader& header) : out_(out), header_(header) {
  header_.question_count = 0;
  header_.answer_count = 0;
  header_.authority_count = 0;
  header_.additional_count = 0;
  out_.zeros(kDnsHeaderSize);
}

void DnsBuilder::add_name(const DomainName& name) {
  constexpr std::uint16_t kPointerToFirstQuestion = 0xc000 | kDnsHeaderSize;
  if (first_question_ && name == *first_question_ && !name.is_root()) {
    out_.u16(kPointerToFirstQuestion);
  } else {
    write_name(out_, name);
  }
}

void DnsBuilder::add_question(const DnsQuestion& question) {
  write_name(out_, question.name);
  out_.u16(static_cast<std::uint16_t>(question.type));
  out_.u16(static_cast<std::uint16_t>(question.klass));
  if (!first_question_) first_question_ = question.name;
  ++header_.question_count;
}

void DnsBuilder::add_address(DnsSection section, const DomainName& name, std::uint32_t ttl,
                             const IpAddress& address) {
  if (address.is_v4()) {
    add_record(section, name, DnsType::kA, DnsClass::kIn, ttl, address.v4_octets());
  } else {
    add_record(section, name, DnsType::kAaaa, DnsClass::kIn, ttl, address.octets());
  }
}

void DnsBuilder::add_record(DnsSection section, const DomainName& name, DnsType type,
                            DnsClass klass, std::uint32_t ttl, ByteView rdata) {
  if (rdata.size() > 0xffff) {
    out_.fail();
    return;
  }
  add_name(name);
  out_.u16(static_cast<std::uint16_t>(type));
  out_.u16(static_cast<std::uint16_t>(klass));
  out_.u32(ttl);
  out_.u16(static_cast<std::uint16_t>(rdata.size()));
  out_.bytes(rdata);
  switch (section) {
    case DnsSection::kAnswer: ++header_.answer_count; break;
    case DnsSection::kAuthority: ++header_.authority_count; break;
    case DnsSection::kAdditional: ++header_.additional_count; break;
  }
}

std::optional<std::size_t> DnsBuilder::finish() {
  if (!out_.ok()) return std::nullopt;
  header_.emit(out_.written().first<kDnsHeaderSize>());
  return out_.finish();
}

namespace {

std::optional<std::size_t> emit_empty_reply(const DnsView& query, DnsRcode rcode, bool truncated,
                                            MutableBytes out) {
  DnsHeader header = query.header();
  header.response = true;
  header.authoritative = false;
  header.truncated = truncated;
  header.recursion_available = true;
  header.authentic_data = false;
  header.rcode = rcode;
  header.answer_count = 0;
  header.authority_count = 0;
  header.additional_count = 0;
  ByteWriter writer(out);
  writer.zeros(kDnsHeaderSize);
  // Questions come first, so pointers inside them stay right.
  writer.bytes(query.question_bytes());
  if (!writer.ok()) return std::nullopt;
  header.emit(writer.written().first<kDnsHeaderSize>());
  return writer.finish();
}

}  // namespace

std::optional<std::size_t> emit_dns_reply(const DnsView& query, DnsRcode rcode, MutableBytes out) {
  return emit_empty_reply(query, rcode, false, out);
}

std::optional<std::size_t> emit_dns_truncated(const DnsView& query, MutableBytes out) {
  return emit_empty_reply(query, DnsRcode::kNoError, true, out);
}

}  // namespace sluice::wire
