#include "wire/transport/proxy_protocol.h"

#include <gtest/gtest.h>

#include "unit/wire/wire_testing.h"

namespace sluice::wire {
namespace {

Endpoint endpoint(std::string_view text) { return parse_endpoint(text).value(); }

// The example of the specification, section 2.1, and a request behind it.
TEST(ProxyV1, Tcp4) {
  const Bytes bytes =
      from_text("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET / HTTP/1.1\r\n");
  const auto parsed = parse_proxy_header(bytes);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->header, (ProxyHeader{.version = ProxyVersion::kV1,
                                         .transport = ProxyTransport::kStream,
                                         .source = endpoint("192.168.0.1:56324"),
                                         .destination = endpoint("192.168.0.11:443")}));
  EXPECT_EQ(parsed->size, 47U);
  Bytes again(kProxyEmitSizeMax);
  again.resize(emit_proxy_header(parsed->header, again).value());
  EXPECT_EQ(again, copy_of(ByteView(bytes).first(47)));
}

TEST(ProxyV1, Tcp6AndUnknown) {
  const auto v6 = parse_proxy_header(from_text("PROXY TCP6 2001:db8::7 ::ffff:192.0.2.1 1 2\r\n"));
  ASSERT_TRUE(v6.has_value());
  EXPECT_EQ(v6->header.source, endpoint("[2001:db8::7]:1"));
  EXPECT_EQ(v6->header.destination, endpoint("192.0.2.1:2"));
  const auto unknown = parse_proxy_header(from_text("PROXY UNKNOWN ffff::1 what ever\r\n"));
  ASSERT_TRUE(unknown.has_value());
  EXPECT_EQ(unknown->header.transport, ProxyTransport::kUnspecified);
  EXPECT_EQ(parse_proxy_header(from_text("PROXY UNKNOWN\r\n"))->size, 15U);
}

TEST(ProxyV1, LongestLine) {
  const std::string longest = std::string("PROXY UNKNOWN ") +
                              "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                              "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
  ASSERT_EQ(longest.size(), kProxyV1SizeMax);
  EXPECT_TRUE(parse_proxy_header(from_text(longest)).has_value());
  EXPECT_EQ(parse_proxy_header(from_text("PROXY TCP4 " + std::string(96, '1'))).error(),
            ParseError::kBadLength);
  EXPECT_EQ(parse_proxy_header(from_text("PROXY TCP4 " + std::string(95, '1'))).error(),
            ParseError::kTruncated);
}

TEST(ProxyV1, HostileLines) {
  for (const std::string_view line :
       {"PROXY TCP4\r\n", "PROXY TCP4 \r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n",
        "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n", "PROXY TCP4 ::1 5.6.7.8 1 2\r\n",
        "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n", "PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n", "PROXY \r\n",
        "GET / HTTP/1.1\r\n", "PROXi", "proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n"}) {
    EXPECT_EQ(parse_proxy_header(from_text(line)).error(), ParseError::kMalformed) << line;
  }
}

const std::string_view kSignature = "0d0a0d0a000d0a515549540a";

Bytes v2(std::string_view rest) { return from_hex(std::string(kSignature) + std::string(rest)); }

TEST(ProxyV2, Tcp4WithTlv) {
  const Bytes bytes = v2("2111 0010 cb007107 c0000201 c738 01bb 04 0001 00") + from_text("GET");
  const auto parsed = parse_proxy_header(bytes);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->header, (ProxyHeader{.version = ProxyVersion::kV2,
                                         .transport = ProxyTransport::kStream,
                                         .source = endpoint("203.0.113.7:51000"),
                                         .destination = endpoint("192.0.2.1:443")}));
  EXPECT_EQ(parsed->size, 32U);
  EXPECT_EQ(copy_of(parsed->tlvs), from_hex("04 0001 00"));

  Bytes again(kProxyEmitSizeMax);
  again.resize(emit_proxy_header(parsed->header, again).value());
  EXPECT_EQ(again, v2("2111 000c cb007107 c0000201 c738 01bb"));
}

TEST(ProxyV2, LocalAndUnspecified) {
  const auto local = parse_proxy_header(v2("2011 000c cb007107 c0000201 c738 01bb"));
  ASSERT_TRUE(local.has_value());
  EXPECT_EQ(local->header.command, ProxyCommand::kLocal);
  EXPECT_EQ(local->header.source, Endpoint{});
  EXPECT_EQ(local->size, 28U);
  const auto unspecified = parse_proxy_header(v2("2100 0003 aabbcc"));
  ASSERT_TRUE(unspecified.has_value());
  EXPECT_EQ(unspecified->header.transport, ProxyTransport::kUnspecified);
  EXPECT_EQ(unspecified->size, 19U);
}

TEST(ProxyV2, HostileHeaders) {
  const auto error_of = [](std::string_view rest) { return parse_proxy_header(v2(rest)).error(); };
  EXPECT_EQ(error_of("1111 0000"), ParseError::kBadVersion);
  EXPECT_EQ(error_of("2211 0000"), ParseError::kMalformed);
  EXPECT_EQ(error_of("2141 0000"), ParseError::kMalformed);
  EXPECT_EQ(error_of("2113 0000"), ParseError::kMalformed);
  EXPECT_EQ(error_of("2111 000b 0000000000000000000000"), ParseError::kBadLength);
  EXPECT_EQ(error_of("2121 000c 000000000000000000000000"), ParseError::kBadLength);
  EXPECT_EQ(error_of("2131 0000"), ParseError::kBadLength);
  EXPECT_EQ(error_of("2111 ffff 00"), ParseError::kTruncated);
}

TEST(Proxy, EveryTruncationWaitsForMore) {
  for (const Bytes& bytes : {v2("2111 000c cb007107 c0000201 c738 01bb"),
                             from_text("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n")}) {
    for_each_truncation(bytes, [](ByteView cut) {
      EXPECT_EQ(parse_proxy_header(cut).error(), ParseError::kTruncated);
    });
  }
}

TEST(Proxy, EmitCoversTheOddCases) {
  Bytes out(kProxyEmitSizeMax);
  const auto written = [&out](const ProxyHeader& header) {
    return copy_of(ByteView(out).first(emit_proxy_header(header, out).value()));
  };
  EXPECT_EQ(written({.version = ProxyVersion::kV1}), from_text("PROXY UNKNOWN\r\n"));
  EXPECT_EQ(written({.version = ProxyVersion::kV1,
                     .transport = ProxyTransport::kStream,
                     .source = endpoint("[fd00::1]:1"),
                     .destination = endpoint("10.0.0.1:2")}),
            from_text("PROXY TCP6 fd00::1 ::ffff:10.0.0.1 1 2\r\n"));
  EXPECT_EQ(written({.version = ProxyVersion::kV2, .command = ProxyCommand::kLocal}),
            v2("2000 0000"));
  Bytes small(15);
  EXPECT_EQ(emit_proxy_header({.version = ProxyVersion::kV2}, small), std::nullopt);
}

}  // namespace
}  // namespace sluice::wire
