#include "wire/first_bytes/http_head.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "wire/first_bytes/http_requests.h"

namespace sluice::wire {
namespace {

ByteView bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
HttpHead read(std::string_view text) { return read_http_head(bytes_of(text)); }
HttpFault fault_of(std::string_view text) { return read(text).fault; }
// A request whose line and host are sound, with these fields.
HttpHead with(const std::string& fields) {
  return read("POST / HTTP/1.1\r\nHost: plain.test\r\n" + fields + "\r\n");
}

TEST(HttpHead, ARequestOfCurlIsRead) {
  const HttpHead head = read(
      "GET /x HTTP/1.1\r\nHost: ok.test:33027\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n");
  ASSERT_EQ(head.fault, HttpFault::kNone);
  EXPECT_EQ(head.host->to_text(), "ok.test");
  EXPECT_EQ(head.body, 0U);
  EXPECT_FALSE(head.chunked);
  EXPECT_FALSE(head.websocket);
}

TEST(HttpHead, AHostMayBeAnAddress) {
  for (const char* host : {"192.0.2.1", "192.0.2.1:80", "[2001:db8::1]", "[2001:db8::1]:8080"}) {
    const HttpHead head = read(std::string("GET / HTTP/1.1\r\nHost: ") + host + "\r\n\r\n");
    EXPECT_EQ(head.fault, HttpFault::kNone) << host;
    EXPECT_FALSE(head.host) << host;
  }
}

TEST(HttpHead, ThereIsOneHost) {
  EXPECT_EQ(fault_of("GET / HTTP/1.1\r\n\r\n"), HttpFault::kHost);
  EXPECT_EQ(fault_of("GET / HTTP/1.1\r\nHost: a.test\r\nhost: b.test\r\n\r\n"), HttpFault::kHost);
  EXPECT_EQ(fault_of("GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n"), HttpFault::kHost);
  const HttpHead old = read("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.fault, HttpFault::kNone);
  EXPECT_FALSE(old.host);
}

TEST(HttpHead, AHostThatIsNoneIsAFault) {
  for (const char* host : {"", "a.test, b.test", "a.test b.test", "user@a.test", "a.test:99999",
                           "a.test:8o", "a..test", "2001:db8::1", "[192.0.2.1]", "[", "[]", "127.1",
                           "0x7f.1", "a.test/", "a.test:80:80"}) {
    EXPECT_EQ(fault_of(std::string("GET / HTTP/1.1\r\nHost: ") + host + "\r\n\r\n"),
              HttpFault::kHost)
        << host;
  }
}

TEST(HttpHead, ATargetThatNamesAHostNamesTheSame) {
  const auto to = [](const std::string& target) {
    return fault_of("GET " + target + " HTTP/1.1\r\nHost: plain.test\r\n\r\n");
  };
  EXPECT_EQ(to("http://plain.test/"), HttpFault::kNone);
  EXPECT_EQ(to("HTTP://PLAIN.test"), HttpFault::kNone);
  EXPECT_EQ(to("http://plain.test?q"), HttpFault::kNone);
  EXPECT_EQ(to("http://evil.test/"), HttpFault::kHost);
  EXPECT_EQ(to("http://plain.test:81/"), HttpFault::kHost);
  EXPECT_EQ(to("http://evil.test\\@plain.test/"), HttpFault::kHost);
  EXPECT_EQ(to("http://user@plain.test/"), HttpFault::kHost);
  EXPECT_EQ(to("https://plain.test/"), HttpFault::kHost);
  EXPECT_EQ(to("plain.test:80"), HttpFault::kHost);
  EXPECT_EQ(to("*"), HttpFault::kHost);
  const HttpHead old = read("GET http://plain.test/ HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.host->to_text(), "plain.test");
}

TEST(HttpHead, OptionsMayBeOfTheWholeServer) {
  EXPECT_EQ(fault_of("OPTIONS * HTTP/1.1\r\nHost: plain.test\r\n\r\n"), HttpFault::kNone);
}

TEST(HttpHead, LinesAreAsTheRfcHasThem) {
  for (const char* head :
       {"GET / HTTP/1.1\nHost: a.test\r\n\r\n", "GET / HTTP/1.1\r\nHost: a.test\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\n X: folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\n\tX: folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a.test\r\n\r\n", "GET / HTTP/1.1\r\n: a\r\nHost: a.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\rX: b\r\n\r\n", "GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET /\tx HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET / x HTTP/1.1\r\nHost: a.test\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "G(T / HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET /\r\n\r\n", "GET / http/1.1\r\nHost: a.test\r\n\r\n", "\r\n\r\n", "\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.test\r\n\r\nbody", "GET / HTTP/1.1\r\nHost: a.test\r\n"}) {
    EXPECT_EQ(fault_of(head), HttpFault::kSyntax) << head;
  }
  constexpr std::string_view kZero("GET / HTTP/1.1\r\nHost: a.test\r\nX: \0\r\n\r\n", 40);
  EXPECT_EQ(fault_of(kZero), HttpFault::kSyntax);
  // RFC 9112, 2.2
  EXPECT_EQ(fault_of("\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n"), HttpFault::kNone);
}

TEST(HttpHead, OtherVersionsAreRefused) {
  EXPECT_EQ(fault_of("PRI * HTTP/2.0\r\n\r\n"), HttpFault::kVersion);
  EXPECT_EQ(fault_of("GET / HTTP/1.2\r\nHost: a.test\r\n\r\n"), HttpFault::kVersion);
}

TEST(HttpHead, TunnelsAreRefused) {
  EXPECT_EQ(fault_of("CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test\r\n\r\n"),
            HttpFault::kConnect);
  EXPECT_EQ(fault_of("connect evil.test:443 HTTP/1.1\r\nHost: evil.test\r\n\r\n"),
            HttpFault::kConnect);
}

TEST(HttpHead, TheBodysEndIsKnown) {
  EXPECT_EQ(with("Content-Length: 12\r\n").body, 12U);
  EXPECT_EQ(with("Content-Length:0\r\n").fault, HttpFault::kNone);
  EXPECT_TRUE(with("Transfer-Encoding: Chunked\r\n").chunked);
}

TEST(HttpHead, ABodyThatCouldBeReadInTwoWaysIsAFault) {
  for (const char* fields :
       {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n", "Content-Length: 0x5\r\n", "Content-Length: 012\r\n",
        "Content-Length: \r\n", "Content-Length: -1\r\n",
        "Content-Length: 99999999999999999999\r\n", "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: xchunked\r\n"}) {
    EXPECT_EQ(with(fields).fault, HttpFault::kFraming) << fields;
  }
  EXPECT_EQ(fault_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), HttpFault::kFraming);
}

TEST(HttpHead, OnlyWebSocketIsUpgradedTo) {
  EXPECT_TRUE(with("Upgrade: WebSocket\r\nConnection: Upgrade\r\n").websocket);
  for (const char* fields :
       {"Upgrade: h2c\r\n", "Upgrade: websocket, h2c\r\n", "Upgrade: TLS/1.0\r\n", "Upgrade:\r\n",
        "HTTP2-Settings: AAMAAABkAAQ\r\n", "Upgrade: websocket\r\nUpgrade: websocket\r\n",
        "Upgrade: websocket\r\nContent-Length: 5\r\n"}) {
    EXPECT_EQ(with(fields).fault, HttpFault::kUpgrade) << fields;
  }
}

TEST(HttpLikeness, RequestsAreTold) {
  for (const char* text : {"GET / HTTP/1.1\r\n", "get\t/ HTTP/1.1\n", "\r\n POST /x HTTP/1.0",
                           "PRI * HTTP/2.0\r\n", "M-SEARCH * HTTP/1.1\r\n"}) {
    EXPECT_EQ(http_likeness(bytes_of(text)), HttpLikeness::kRequest) << text;
  }
}

TEST(HttpLikeness, OtherProtocolsAreNot) {
  for (const char* text :
       {"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "EHLO me\r\n", "*1\r\n$4\r\n", "\x10\x0c",
        "a001 LOGIN x y\r\n", "GET key\r\n", "HELLO\n", "a-method-of-more-bytes / "}) {
    EXPECT_EQ(http_likeness(bytes_of(text)), HttpLikeness::kNone) << text;
  }
}

TEST(HttpLikeness, AWholeLineDecides) {
  constexpr std::string_view kLine = "DELETE /some/thing HTTP/";
  for (std::size_t size = 0; size < kLine.size(); ++size) {
    EXPECT_EQ(http_likeness(bytes_of(kLine.substr(0, size))), HttpLikeness::kNeedMore) << size;
  }
  EXPECT_EQ(http_likeness(bytes_of(kLine)), HttpLikeness::kRequest);
}

// Some servers read lines of any length, and skip any number of empty ones.
TEST(HttpLikeness, WhatIsTooLongToBeDecidedIsARequestAndNoHead) {
  for (const std::string& text :
       {"GET " + std::string(kHttpHeadSizeMax, 'x'), std::string(kHttpHeadSizeMax, ' '),
        std::string(kHttpHeadSizeMax, '\n'), std::string(kHttpHeadSizeMax - 3, '\n') + "GET"}) {
    EXPECT_EQ(http_likeness(bytes_of(text)), HttpLikeness::kRequest) << text.substr(0, 8);
    EXPECT_EQ(HttpRequests().next(bytes_of(text), 0).step, HttpRequests::Step::kFault);
    const std::string shorter = text.substr(0, kHttpHeadSizeMax - 1);
    EXPECT_EQ(http_likeness(bytes_of(shorter)), HttpLikeness::kNeedMore);
  }
}

}  // namespace
}  // namespace sluice::wire
