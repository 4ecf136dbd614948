#include <gtest/gtest.h>

#include <algorithm>

#include "unit/app/log/golden_events.h"

namespace sluice::app {
namespace {

using telemetry::read_event;

auto tabs(const std::string& line) { return std::count(line.begin(), line.end(), '\t'); }

TEST(ZeekSight, AQuestionIsALineOfDnsLog) {
  const auto event = read_event(
      R"({"v":1,"time":"2026-03-01T12:00:00.5Z","type":"dns","name":"a\tb.test","query":"AAAA",)"
      R"("result":"refused","source":"sluice","rcode":null,"addresses":0,)"
      R"("reason":"name-unlisted","rule":"default"})");
  const std::string line = zeek_dns_line(event.value()).value();
  EXPECT_EQ(line,
            "1772366400.500000\ta\\x09b.test\t28\tAAAA\t-\t-\tT\t0\trefused\tsluice\t"
            "name-unlisted\tdefault");
  const std::string ocsf = ocsf_line(event.value()).value();
  EXPECT_NE(ocsf.find(R"("class_uid":4003)"), std::string::npos) << ocsf;
  EXPECT_NE(ocsf.find(R"("status_detail":"name-unlisted")"), std::string::npos) << ocsf;
  const std::string eve = eve_line(event.value()).value();
  EXPECT_NE(eve.find(R"("event_type":"dns")"), std::string::npos) << eve;
  EXPECT_NE(eve.find(R"("rrtype":"AAAA")"), std::string::npos) << eve;
  EXPECT_FALSE(zeek_dns_line(test::ended_flow()).has_value());
  EXPECT_FALSE(zeek_dns_line(read_event(R"({"v":1,"type":"dns","left_out":5})").value()));
}

TEST(ZeekSight, AHelloIsALineOfSslLog) {
  const auto event = read_event(
      R"({"v":1,"time":"2026-03-01T12:00:00Z","type":"gate","flow":"00000000000000ff",)"
      R"("proto":"tcp","direction":"out","guest":"10.0.2.15","guest_port":40000,"name":"a.test",)"
      R"("address":"192.0.2.7","port":443,"kind":"tls","ech":true,"result":"passed",)"
      R"("reason":"accepted","rule":"--allow #1"})");
  const std::string line = zeek_ssl_line(event.value()).value();
  EXPECT_TRUE(line.ends_with("\ta.test\tT\tpassed\taccepted\t--allow #1")) << line;
  auto http = event.value();
  http.kind = "http";
  EXPECT_FALSE(zeek_ssl_line(http).has_value());
  EXPECT_TRUE(eve_line(http).value().find(R"("http":{"hostname":"a.test"})") != std::string::npos);
}

TEST(ZeekSight, HeadsNameEachField) {
  for (const std::string& head : {zeek_dns_head(), zeek_ssl_head()}) {
    const std::size_t fields = head.find("#fields");
    const std::size_t types = head.find("#types");
    EXPECT_EQ(tabs(head.substr(fields, types - fields)), tabs(head.substr(types)));
  }
}

}  // namespace
}  // namespace sluice::app
