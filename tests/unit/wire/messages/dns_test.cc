#include "wire/messages/dns.h"

#include <gtest/gtest.h>

#include "unit/wire/captured_frames.h"
#include "unit/wire/wire_testing.h"

namespace sluice::wire {
namespace {

Bytes dns_of(std::string_view frame) { return cut_front(from_hex(frame), 14 + 20 + 8); }
DomainName name(std::string_view text) { return DomainName::from_text(text).value(); }

TEST(Dns, CapturedQuery) {
  const Bytes message = dns_of(captured::kDnsQuery);
  const auto view = DnsView::parse(message);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->header().id, 39278);
  EXPECT_FALSE(view->header().response);
  EXPECT_TRUE(view->header().recursion_desired);
  ASSERT_TRUE(view->question().has_value());
  EXPECT_EQ(*view->question(), (DnsQuestion{name("www.example"), DnsType::kA, DnsClass::kIn}));
  EXPECT_EQ(copy_of(view->question_bytes()), from_hex("03777777 076578616d706c65 00 0001 0001"));
  EXPECT_EQ(dns_udp_payload_size(*view), 1232);

  Bytes header(kDnsHeaderSize);
  view->header().emit(MutableBytes(header).first<kDnsHeaderSize>());
  EXPECT_EQ(header, copy_of(ByteView(message).first(kDnsHeaderSize)));
}

TEST(Dns, CapturedAnswer) {
  const Bytes message = dns_of(captured::kDnsReply);
  const auto view = DnsView::parse(message);
  ASSERT_TRUE(view.has_value());
  EXPECT_TRUE(view->header().response);
  EXPECT_TRUE(view->header().authoritative);
  DnsRecordReader records = view->records();
  const auto answer = records.next();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->section, DnsSection::kAnswer);
  EXPECT_EQ(answer->name, name("www.example"));
  EXPECT_EQ(dns_address(*answer), ip("10.1.2.3"));
  EXPECT_TRUE(answer->has_ttl());
  const auto opt = records.next();
  ASSERT_TRUE(opt.has_value());
  EXPECT_EQ(opt->section, DnsSection::kAdditional);
  EXPECT_EQ(opt->type, DnsType::kOpt);
  EXPECT_FALSE(opt->has_ttl());
  EXPECT_TRUE(records.done());
}

TEST(Dns, CapturedCname) {
  const Bytes message = dns_of(captured::kDnsCname);
  const auto view = DnsView::parse(message);
  ASSERT_TRUE(view.has_value());
  const auto record = view->records().next();
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->type, DnsType::kCname);
  EXPECT_EQ(dns_target_name(message, *record), name("www.example"));
  EXPECT_EQ(dns_address(*record), std::nullopt);
}

// A cut inside header or question is an error of parse(); a cut later one of the walk.
TEST(Dns, EveryTruncation) {
  for_each_truncation(dns_of(captured::kDnsCname), [](ByteView cut) {
    const auto view = DnsView::parse(cut);
    if (!view) {
      EXPECT_EQ(view.error(), ParseError::kTruncated);
      return;
    }
    bool failed = false;
    for (DnsRecordReader records = view->records(); !records.done();) {
      const auto record = records.next();
      if (record) continue;
      EXPECT_EQ(record.error(), ParseError::kTruncated);
      failed = true;
    }
    EXPECT_TRUE(failed);
  });
}

TEST(Dns, TtlCanBeRewrittenInPlace) {
  Bytes message(200);
  DnsBuilder builder(message, {.id = 1, .response = true});
  builder.add_question({name("a.example"), DnsType::kAaaa, DnsClass::kIn});
  builder.add_address(DnsSection::kAnswer, name("a.example"), 3600, ip("fd00::7"));
  message.resize(builder.finish().value());
  const auto record = DnsView::parse(message)->records().next();
  ASSERT_TRUE(record.has_value());
  put32<0>(MutableBytes(message).subspan(record->ttl_offset).first<4>(), 59);
  const auto again = DnsView::parse(message)->records().next();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->ttl, 59U);
  EXPECT_EQ(dns_address(*again), ip("fd00::7"));
}

TEST(Dns, NegativeTtlOfAnSoa) {
  // x.example does not exist; the SOA of "example" has mailbox me.example and minimum 300.
  const Bytes message = from_hex(
      "0007 8183 0001 0000 0001 0000  0178 076578616d706c65 00 0001 0001"
      "c00e 0006 0001 00000e10 001e 026e73c00e 026d65c00e"
      "00000001 00000002 00000003 00000004 0000012c");
  const auto view = DnsView::parse(message);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->header().rcode, DnsRcode::kNxDomain);
  const auto soa = view->records().next();
  ASSERT_TRUE(soa.has_value());
  EXPECT_EQ(soa->section, DnsSection::kAuthority);
  EXPECT_EQ(soa->name, name("example"));
  EXPECT_EQ(soa->ttl, 3600U);
  EXPECT_EQ(dns_soa_minimum(message, *soa), 300U);
  EXPECT_EQ(dns_target_name(message, *soa).error(), ParseError::kUnsupported);
}

TEST(Dns, SoaWhoseNamesLeaveItsData) {
  // The same record, but its length ends inside the mailbox name.
  const Bytes message = from_hex(
      "0007 8183 0000 0000 0001 0000"
      "00 0006 0001 00000e10 0004 026e7300 026d6500 00000001");
  const auto soa = DnsView::parse(message)->records().next();
  ASSERT_TRUE(soa.has_value());
  EXPECT_EQ(dns_soa_minimum(message, *soa).error(), ParseError::kTruncated);
}

TEST(Dns, AddressesOfTheWrongSizeAreNone) {
  EXPECT_EQ(dns_address({.type = DnsType::kA, .klass = DnsClass::kIn, .rdata = {}}), std::nullopt);
  const Bytes five(5);
  EXPECT_EQ(dns_address({.type = DnsType::kA, .klass = DnsClass::kIn, .rdata = five}),
            std::nullopt);
  EXPECT_EQ(dns_address({.type = DnsType::kAaaa, .klass = DnsClass::kIn, .rdata = five}),
            std::nullopt);
}

TEST(Dns, MoreQuestionsThanThereAre) {
  Bytes message = dns_of(captured::kDnsQuery);
  message[4] = 0xff;
  EXPECT_FALSE(DnsView::parse(message).has_value());
}

TEST(Dns, AnErrorEndsTheWalk) {
  const Bytes message = from_hex("0007 8180 0000 ffff ffff ffff c000");
  DnsRecordReader records = DnsView::parse(message)->records();
  EXPECT_FALSE(records.done());
  EXPECT_FALSE(records.next().has_value());
  EXPECT_TRUE(records.done());
}

TEST(Dns, ReplyRepeatsTheQuestion) {
  const Bytes message = dns_of(captured::kDnsQuery);
  const auto query = DnsView::parse(message);
  ASSERT_TRUE(query.has_value());
  Bytes out(512);
  out.resize(emit_dns_reply(*query, DnsRcode::kRefused, out).value());
  const auto reply = DnsView::parse(out);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->header().id, query->header().id);
  EXPECT_EQ(reply->header().rcode, DnsRcode::kRefused);
  EXPECT_TRUE(reply->header().response);
  EXPECT_TRUE(reply->header().recursion_desired);
  EXPECT_FALSE(reply->header().truncated);
  EXPECT_EQ(reply->question(), query->question());
  EXPECT_TRUE(reply->records().done());

  out.resize(emit_dns_truncated(*query, out).value());
  EXPECT_TRUE(DnsView::parse(out)->header().truncated);
  Bytes small(20);
  EXPECT_EQ(emit_dns_reply(*query, DnsRcode::kRefused, small), std::nullopt);
}

TEST(DnsBuilder, SharesTheNameOfTheQuestion) {
  Bytes out(512);
  DnsBuilder builder(out, {.id = 7, .response = true});
  builder.add_question({name("host.lan"), DnsType::kA, DnsClass::kIn});
  builder.add_address(DnsSection::kAnswer, name("HOST.lan"), 60, ip("10.0.2.2"));
  const auto length = builder.finish();
  EXPECT_EQ(length, 12U + 10 + 4 + 2 + 10 + 4);
  const auto record = DnsView::parse(ByteView(out).first(*length))->records().next();
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->name, name("host.lan"));
}

TEST(DnsBuilder, WhatDoesNotFitIsNoMessage) {
  Bytes out(30);
  DnsBuilder builder(out, {});
  builder.add_question({name("host.lan"), DnsType::kA, DnsClass::kIn});
  builder.add_address(DnsSection::kAnswer, name("host.lan"), 60, ip("10.0.2.2"));
  EXPECT_EQ(builder.finish(), std::nullopt);
}

}  // namespace
}  // namespace sluice::wire
