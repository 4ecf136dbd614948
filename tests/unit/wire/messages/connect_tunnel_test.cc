#include "wire/messages/connect_tunnel.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::wire {
namespace {

using Kind = ConnectAnswer::Kind;

ConnectAnswer read(std::string_view text) {
  return read_connect_answer(
      ByteView(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}
std::string request(std::string_view host, std::uint16_t port) {
  const auto bytes = make_connect_request(host, Port{port});
  return {bytes.begin(), bytes.end()};
}

TEST(ConnectTunnel, AsksForANameOrAnAddress) {
  EXPECT_EQ(request("ok.test", 443), "CONNECT ok.test:443 HTTP/1.1\r\nHost: ok.test:443\r\n\r\n");
  EXPECT_EQ(request("192.0.2.1", 22),
            "CONNECT 192.0.2.1:22 HTTP/1.1\r\nHost: 192.0.2.1:22\r\n\r\n");
  EXPECT_EQ(request("2001:db8::1", 22),
            "CONNECT [2001:db8::1]:22 HTTP/1.1\r\nHost: [2001:db8::1]:22\r\n\r\n");
}

TEST(ConnectTunnel, TheTunnelBeginsBehindTheHead) {
  const std::string head = "HTTP/1.1 200 Connection established\r\nX-Proxy: a\r\n\r\n";
  const ConnectAnswer answer = read(head + "SSH-2.0-x\r\n\r\n");
  EXPECT_EQ(answer.kind, Kind::kOpen);
  EXPECT_EQ(answer.status, 200u);
  EXPECT_EQ(answer.size, head.size());
  EXPECT_EQ(read("HTTP/1.0 200\r\n\r\n").size, 16u);
  EXPECT_EQ(read("HTTP/1.1 299 x\r\n\r\n").kind, Kind::kOpen);
}

TEST(ConnectTunnel, EveryBeginningNeedsMore) {
  const std::string head = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
  for (std::size_t size = 0; size < head.size(); ++size) {
    EXPECT_EQ(read(head.substr(0, size)).kind, Kind::kNeedMore) << size;
  }
}

TEST(ConnectTunnel, OtherAnswersAreRefusals) {
  for (const auto& [text, status] :
       {std::pair("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", 407U),
        std::pair("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", 302U),
        std::pair("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\nno\r\n", 502U)}) {
    const ConnectAnswer answer = read(text);
    EXPECT_EQ(answer.kind, Kind::kRefused) << text;
    EXPECT_EQ(answer.status, status);
  }
}

TEST(ConnectTunnel, AnswersBeforeTheOneThatCountsAreSkipped) {
  const std::string first = "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_EQ(read(first).kind, Kind::kNeedMore);
  const ConnectAnswer answer = read(first + "HTTP/1.1 200 OK\r\n\r\nx");
  EXPECT_EQ(answer.kind, Kind::kOpen);
  EXPECT_EQ(answer.size, first.size() + 19);
  EXPECT_EQ(read("HTTP/1.1 101 Switching Protocols\r\n\r\n").kind, Kind::kBad);
}

TEST(ConnectTunnel, WhatIsNoAnswerIsBadAtOnce) {
  for (const char* text :
       {"SSH-2.0-x\r\n", "HTTP/2 200\r\n\r\n", "http/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.x 200 OK\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n", "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 100 A\r\n\r\nnonsense"}) {
    EXPECT_EQ(read(text).kind, Kind::kBad) << text;
  }
}

TEST(ConnectTunnel, AHeadHasABound) {
  std::string long_one = "HTTP/1.1 200 OK\r\nX: ";
  long_one.resize(kConnectAnswerMax - 1, 'a');
  EXPECT_EQ(read(long_one).kind, Kind::kNeedMore);
  long_one += 'a';
  EXPECT_EQ(read(long_one).kind, Kind::kBad);
  EXPECT_EQ(read(long_one + "\r\n\r\n").kind, Kind::kBad);
  std::string many;
  while (many.size() < kConnectAnswerMax) many += "HTTP/1.1 100 A\r\n\r\n";
  EXPECT_EQ(read(many).kind, Kind::kBad);
}

}  // namespace
}  // namespace sluice::wire
