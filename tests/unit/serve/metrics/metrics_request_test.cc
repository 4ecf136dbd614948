#include "serve/metrics/metrics_request.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::serve {
namespace {

[[nodiscard]] MetricsReply reply(std::string_view bytes,
                                 MetricsHosts hosts = MetricsHosts::kLoopback) {
  const auto request = read_metrics_request(bytes, hosts);
  EXPECT_TRUE(request.has_value()) << bytes;
  return request ? request->reply : MetricsReply::kBadRequest;
}

[[nodiscard]] std::string get(std::string_view target, std::string_view host = "127.0.0.1:9100") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n";
}

TEST(MetricsRequest, TheMetricsHaveOnePlace) {
  EXPECT_EQ(reply(get("/metrics")), MetricsReply::kMetrics);
  EXPECT_EQ(reply(get("/metrics?name[]=x")), MetricsReply::kMetrics);
  EXPECT_EQ(reply(get("http://127.0.0.1:9100/metrics")), MetricsReply::kMetrics);
  EXPECT_EQ(reply(get("/")), MetricsReply::kNotFound);
  EXPECT_EQ(reply(get("/metrics/")), MetricsReply::kNotFound);
}

TEST(MetricsRequest, ItWaitsForAWholeHead) {
  const std::string whole = get("/metrics");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(read_metrics_request(whole.substr(0, size), MetricsHosts::kAny)) << size;
  }
}

TEST(MetricsRequest, AHeadIsBounded) {
  EXPECT_EQ(reply("GET /metrics HTTP/1.1\r\nA: " + std::string(kMetricsRequestMax, 'x')),
            MetricsReply::kTooLong);
}

TEST(MetricsRequest, OnlyReadingIsServed) {
  EXPECT_EQ(reply("POST /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"),
            MetricsReply::kBadMethod);
  const auto head = read_metrics_request("HEAD /metrics HTTP/1.1\r\nHost: [::1]:1\r\n\r\n",
                                         MetricsHosts::kLoopback);
  ASSERT_TRUE(head.has_value());
  EXPECT_EQ(head->reply, MetricsReply::kMetrics);
  EXPECT_TRUE(head->head);
}

TEST(MetricsRequest, GarbageIsToldAtOnce) {
  EXPECT_EQ(reply(std::string("\x16\x03\x01\x02\x00", 5)), MetricsReply::kBadRequest);
  EXPECT_EQ(reply("GET /metrics HTTP/1.1\r\n\r\n"), MetricsReply::kBadRequest);  // No host.
  EXPECT_EQ(reply("GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
            MetricsReply::kBadRequest);
}

// A page whose name leads to us all of a sudden asks for that name.
TEST(MetricsRequest, OnLoopbackNoOtherNameIsAnswered) {
  EXPECT_EQ(reply(get("/metrics", "evil.test:9100")), MetricsReply::kForbidden);
  EXPECT_EQ(reply(get("/metrics", "localhost:9100")), MetricsReply::kMetrics);
  EXPECT_EQ(reply(get("/metrics", "LocalHost")), MetricsReply::kMetrics);
  EXPECT_EQ(reply(get("/metrics", "monitor.test"), MetricsHosts::kAny), MetricsReply::kMetrics);
}

}  // namespace
}  // namespace sluice::serve
