#include "wire/first_bytes/client_hello.h"

#include <gtest/gtest.h>

#include <string>

#include "unit/wire/first_bytes/client_hellos.h"

namespace sluice::wire::test {
namespace {

using Finding = ClientHello::Finding;

Finding finding(const Bytes& bytes) { return read_client_hello(bytes).finding; }
Finding finding_of(const std::vector<Extension>& extensions) {
  return finding(in_records(hello_message(extensions)));
}
std::string name_in(ByteView bytes) {
  const ClientHello hello = read_client_hello(bytes);
  EXPECT_EQ(hello.finding, Finding::kServerName);
  return hello.server_name.to_text();
}

// Each beginning of it waits for more, and what follows changes nothing.
void expect_whole_only(const Bytes& hello, Finding expected) {
  for (std::size_t size = 0; size < hello.size(); ++size) {
    ASSERT_EQ(read_client_hello(ByteView(hello).first(size)).finding, Finding::kNeedMore) << size;
  }
  EXPECT_EQ(finding(hello), expected);
  Bytes more = hello;
  more.resize(more.size() + 100, 0x17);
  EXPECT_EQ(finding(more), expected);
}

TEST(ClientHello, CapturedOnesNameTheirServer) {
  EXPECT_EQ(name_in(kOpensslHello), "ok.test");
  EXPECT_EQ(name_in(kGnutlsHello), "localhost");
  EXPECT_EQ(read_client_hello(kNamelessHello).finding, Finding::kNoServerName);
  EXPECT_FALSE(read_client_hello(kOpensslHello).encrypted);
}

TEST(ClientHello, NothingIsFoundBeforeItIsWhole) {
  expect_whole_only({std::begin(kOpensslHello), std::end(kOpensslHello)}, Finding::kServerName);
  expect_whole_only({std::begin(kNamelessHello), std::end(kNamelessHello)}, Finding::kNoServerName);
  expect_whole_only(hello_to("ok.test"), Finding::kServerName);
}

TEST(ClientHello, RecordsMayCutItAnywhere) {
  const Bytes message = hello_message({server_name("ok.test"), key_share()});
  for (std::size_t each = (message.size() + 63) / 64; each <= message.size(); ++each) {
    ASSERT_EQ(name_in(in_records(message, each)), "ok.test") << each;
  }
}

TEST(ClientHello, RecordsOfOneByteAreLegal) {
  // The shortest that there is has 41 bytes: without session, with one suite and no extension.
  Bytes body{3, 3};
  body.resize(34, 1);
  put(body, {0, 0, 2, 0x13, 0x01, 1, 0});
  Bytes message{1, 0, 0, static_cast<std::uint8_t>(body.size())};
  put(message, body);
  expect_whole_only(in_records(message, 1), Finding::kNoServerName);
}

TEST(ClientHello, SoManyRecordsAndNoMore) {
  const Bytes message = hello_message({server_name("ok.test")});
  const std::size_t each = (message.size() + 63) / 64;
  EXPECT_EQ(finding(in_records(message, each)), Finding::kServerName);
  EXPECT_EQ(finding(in_records(message, 1)), Finding::kMalformed);
}

TEST(ClientHello, ItsSizeIsBounded) {
  const auto padded = [](std::size_t size) {
    return in_records(hello_message({server_name("ok.test"), {21, Bytes(size, 0)}}), 1U << 14U);
  };
  EXPECT_EQ(finding(padded(16'000)), Finding::kServerName);
  EXPECT_EQ(finding(padded(kClientHelloSizeMax)), Finding::kMalformed);
  // Also before all of it is there.
  EXPECT_EQ(read_client_hello(ByteView(padded(60'000)).first(20)).finding, Finding::kMalformed);
}

TEST(ClientHello, AnEncryptedOneIsSeen) {
  const ClientHello hello =
      read_client_hello(in_records(hello_message({encrypted_hello(), server_name("ok.test")})));
  EXPECT_EQ(hello.finding, Finding::kServerName);
  EXPECT_TRUE(hello.encrypted);
}

TEST(ClientHello, OneNameAndNoOther) {
  EXPECT_EQ(finding_of({server_name("ok.test"), server_name("evil.test")}), Finding::kMalformed);
  // Two entries in one list.
  Extension two = server_name("ok.test");
  put(two.bytes, {0, 0, 1, 'x'});
  two.bytes[1] = static_cast<std::uint8_t>(two.bytes.size() - 2);
  EXPECT_EQ(finding_of({two}), Finding::kMalformed);
  Extension of_another_kind = server_name("ok.test");
  of_another_kind.bytes[2] = 1;
  EXPECT_EQ(finding_of({of_another_kind}), Finding::kMalformed);
  EXPECT_EQ(finding_of({{0, {}}}), Finding::kMalformed);
}

TEST(ClientHello, WhatIsNoNameIsRefused) {
  for (const std::string& name :
       {std::string(), std::string("192.0.2.1"), std::string("::1"), std::string("ok.test."),
        std::string("ok..test"), std::string("ok\0.test", 8), std::string("*.ok.test"),
        std::string("ok.test:443"), std::string("\xc3\xb6k.test"), std::string(300, 'a'),
        std::string(64, 'a') + ".test", std::string("evil.0x7f")}) {
    EXPECT_EQ(finding_of({server_name(name)}), Finding::kMalformed) << name;
  }
  EXPECT_EQ(finding_of({server_name("xn--k-fka.test")}), Finding::kServerName);
  EXPECT_EQ(finding_of({server_name("_a-b.4.ok.TEST")}), Finding::kServerName);
}

TEST(ClientHello, TheNameMayStandBehindSoManyExtensions) {
  std::vector<Extension> extensions(kClientHelloExtensionsMax - 1, grease());
  extensions.push_back(server_name("ok.test"));
  EXPECT_EQ(finding_of(extensions), Finding::kServerName);
  extensions.insert(extensions.begin(), grease());
  EXPECT_EQ(finding_of(extensions), Finding::kMalformed);
}

TEST(ClientHello, OtherProtocolsAreNone) {
  for (const std::string_view text : {"GET / HTTP/1.1\r\n", "SSH-2.0-x\r\n", "\x80\x2e\x01"}) {
    EXPECT_EQ(finding({text.begin(), text.end()}), Finding::kNotTls);
  }
  EXPECT_EQ(finding({22, 9}), Finding::kNotTls);
}

TEST(ClientHello, WhatIsNoHelloIsMalformed) {
  EXPECT_EQ(finding({22, 3, 1, 0, 5, 2}), Finding::kMalformed);         // A server's.
  EXPECT_EQ(finding({22, 3, 1, 0, 0}), Finding::kMalformed);            // An empty record.
  EXPECT_EQ(finding({22, 3, 1, 0x40, 1, 1}), Finding::kMalformed);      // Too long a record.
  EXPECT_EQ(finding({22, 3, 1, 0, 1, 1, 21}), Finding::kMalformed);     // An alert in between.
  EXPECT_EQ(finding({22, 3, 1, 0, 1, 1, 22, 9}), Finding::kMalformed);  // Another version there.
}

TEST(ClientHello, ItsRecordHoldsNothingElse) {
  Bytes message = hello_message({server_name("ok.test")});
  message.push_back(1);
  EXPECT_EQ(finding(in_records(message)), Finding::kMalformed);
}

TEST(ClientHello, ItsLengthsAgree) {
  const Bytes whole = hello_to("ok.test");
  // Every byte that is a length, and many that are not.
  for (std::size_t at = 5; at < 160; ++at) {
    Bytes broken = whole;
    broken[at] ^= 0x80U;
    const ClientHello hello = read_client_hello(broken);
    if (hello.finding == Finding::kServerName) {
      EXPECT_EQ(hello.server_name.to_text(), "ok.test") << at;
    }
  }
}

}  // namespace
}  // namespace sluice::wire::test
