// session_line.cc: append_session_line().
#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "forward/log/session_log.h"

namespace sluice::forward {
namespace {

using namespace std::chrono_literals;
using std::chrono::system_clock;

// 2026-11-21 15:03:06 UTC, and a little.
constexpr system_clock::time_point kTime{std::chrono::sys_seconds{1'795'273'386s} + 123'456us};

SessionEvent sample() {
  SessionEvent event;
  event.result = SessionResult::kClientClosed;
  event.rule = "web";
  event.client = {wire::IpAddress::v4(0x7f000001), {40000}};
  event.listen_host = "0.0.0.0";
  event.listen_port = 46101;
  event.target_host = "localhost";
  event.target_port = 46201;
  event.bytes_from_client = 5;
  event.bytes_to_client = 10;
  event.duration = 1'250us;
  return event;
}

std::string line(LogFormat format, const SessionEvent& event,
                 system_clock::time_point now = kTime) {
  fmt::memory_buffer out;
  append_session_line(out, format, event, now);
  return fmt::to_string(out);
}

nlohmann::json json_line(const SessionEvent& event) {
  return nlohmann::json::parse(line(LogFormat::kJson, event));
}

// The zone of the process; what was before comes back.
class TimeZone {
 public:
  explicit TimeZone(const char* zone) {
    if (const char* const before = ::getenv("TZ")) before_ = before;
    ::setenv("TZ", zone, 1);
    ::tzset();
  }
  ~TimeZone() {
    if (before_.empty()) {
      ::unsetenv("TZ");
    } else {
      ::setenv("TZ", before_.c_str(), 1);
    }
    ::tzset();
  }
  TimeZone(const TimeZone&) = delete;
  TimeZone& operator=(const TimeZone&) = delete;

 private:
  std::string before_;
};

// The two lines below are what Debian's rinetd 0.73 wrote, but for the client's port.
TEST(SessionLine, RinetdFormIsRinetds) {
  const TimeZone zone("UTC");
  EXPECT_EQ(line(LogFormat::kRinetd, sample()),
            "21/Nov/2026:15:03:06 \t127.0.0.1\t0.0.0.0\t46101\tlocalhost\t46201\t5\t10\t"
            "done-remote-closed\n");
}

TEST(SessionLine, CommonFormIsRinetds) {
  const TimeZone zone("UTC");
  EXPECT_EQ(line(LogFormat::kCommon, sample(), kTime + 1s),
            "127.0.0.1 - - [21/Nov/2026:15:03:07  +0000] \"GET /rinetd-services/0.0.0.0/46101/"
            "localhost/46201/done-remote-closed HTTP/1.0\" 200 10 - - - 5\n");
}

TEST(SessionLine, TimesAreLocalWithSignAndMinutesOfTheZone) {
  {
    const TimeZone west("XXX3:30");
    EXPECT_NE(line(LogFormat::kCommon, sample(), kTime + 10s).find("[21/Nov/2026:11:33:16  -0330]"),
              std::string::npos);
  }
  const TimeZone east("XXX-5:45");
  EXPECT_NE(line(LogFormat::kCommon, sample(), kTime + 20s).find("[21/Nov/2026:20:48:26  +0545]"),
            std::string::npos);
  EXPECT_EQ(line(LogFormat::kRinetd, sample(), kTime + 20s).substr(0, 22),
            "21/Nov/2026:20:48:26 \t");
}

TEST(SessionLine, TheKeptSecondIsNotUsedForAnother) {
  const TimeZone zone("UTC");
  EXPECT_TRUE(line(LogFormat::kRinetd, sample()).starts_with("21/Nov/2026:15:03:06 "));
  EXPECT_TRUE(
      line(LogFormat::kRinetd, sample(), kTime + 876'543us).starts_with("21/Nov/2026:15:03:06 "));
  EXPECT_TRUE(
      line(LogFormat::kRinetd, sample(), kTime + 876'544us).starts_with("21/Nov/2026:15:03:07 "));
  EXPECT_TRUE(line(LogFormat::kRinetd, sample()).starts_with("21/Nov/2026:15:03:06 "));
  EXPECT_TRUE(line(LogFormat::kRinetd, sample(), kTime + 10 * 24h).starts_with("01/Dec/2026:"));
}

TEST(SessionLine, JsonHasEveryField) {
  const TimeZone zone("XXX3:30");  // Of no consequence: times are UTC.
  SessionEvent event = sample();
  event.result = SessionResult::kTargetReset;
  event.error = ECONNRESET;
  EXPECT_EQ(line(LogFormat::kJson, event),
            R"({"time":"2026-11-21T15:03:06.123456Z","rule":"web","client":"127.0.0.1:40000",)"
            R"("listen":"0.0.0.0:46101","target":"localhost:46201","protocol":"tcp",)"
            R"("event":"ended","result":"target-reset","bytes_from_client":5,)"
            R"("bytes_to_client":10,"duration_ms":1.250,"error":"Connection reset by peer"})"
            "\n");
  event.error = 4095;  // No errno of Linux.
  EXPECT_EQ(json_line(event)["error"], "error 4095");
  event.error = 0;
  event.udp = true;
  const auto udp = json_line(event);
  EXPECT_TRUE(udp["error"].is_null());
  EXPECT_EQ(udp["protocol"], "udp");
}

TEST(SessionLine, NamesOfResults) {
  struct Names {
    SessionResult result;
    std::string rinetd, event, json;
  };
  const std::array<Names, 13> all{{
      {SessionResult::kOpened, "opened", "opened", "opened"},
      {SessionResult::kTargetClosed, "done-local-closed", "ended", "target-closed"},
      {SessionResult::kClientClosed, "done-remote-closed", "ended", "client-closed"},
      {SessionResult::kTargetReset, "done-local-closed", "ended", "target-reset"},
      {SessionResult::kClientReset, "done-remote-closed", "ended", "client-reset"},
      {SessionResult::kIdle, "done-timeout", "ended", "idle"},
      {SessionResult::kStopped, "done-stopped", "ended", "stopped"},
      {SessionResult::kKilled, "done-stopped", "ended", "killed"},
      {SessionResult::kConnectFailed, "local-connect-failed", "refused", "connect-failed"},
      {SessionResult::kNotAllowed, "not-allowed", "refused", "not-allowed"},
      {SessionResult::kDenied, "denied", "refused", "denied"},
      {SessionResult::kLimited, "limited", "refused", "limited"},
      {SessionResult::kBadProxyHeader, "bad-proxy-header", "refused", "bad-proxy-header"},
  }};
  for (const Names& names : all) {
    SessionEvent event = sample();
    event.result = names.result;
    EXPECT_TRUE(line(LogFormat::kRinetd, event).ends_with("\t" + names.rinetd + "\n"));
    EXPECT_NE(line(LogFormat::kCommon, event).find("/46201/" + names.rinetd + " HTTP/1.0\""),
              std::string::npos);
    EXPECT_EQ(json_line(event)["event"], names.event);
    EXPECT_EQ(json_line(event)["result"], names.json);
  }
}

TEST(SessionLine, AddressesOfSixAndUnixSockets) {
  SessionEvent event = sample();
  event.client = {*wire::parse_ip("2001:db8::7"), {1}};
  event.listen_host = "::1";
  event.target_host = "/run/x.sock";
  event.target_port = 0;
  EXPECT_NE(
      line(LogFormat::kRinetd, event).find("\t2001:db8::7\t::1\t46101\t/run/x.sock\t0\t5\t10\t"),
      std::string::npos);
  EXPECT_NE(line(LogFormat::kCommon, event).find("/::1/46101/%2Frun%2Fx.sock/0/done-"),
            std::string::npos);
  const auto json = json_line(event);
  EXPECT_EQ(json["client"], "[2001:db8::7]:1");
  EXPECT_EQ(json["listen"], "[::1]:46101");
  EXPECT_EQ(json["target"], "unix:/run/x.sock");
}

TEST(SessionLine, WhatIsUnknownHasAPlaceHolder) {
  SessionEvent event = sample();
  event.client = {};
  event.listen_host = {};
  event.target_host = {};
  event.target_port = 0;
  event.result = SessionResult::kDenied;
  EXPECT_NE(line(LogFormat::kRinetd, event).find(" \t-\t*\t46101\t-\t0\t"), std::string::npos);
  EXPECT_TRUE(line(LogFormat::kCommon, event).starts_with("- - - ["));
  EXPECT_NE(line(LogFormat::kCommon, event).find("/*/46101/-/0/denied "), std::string::npos);
  const auto json = json_line(event);
  EXPECT_TRUE(json["client"].is_null());
  EXPECT_TRUE(json["target"].is_null());
  EXPECT_EQ(json["listen"], "*:46101");
}

TEST(SessionLine, NoFieldBreaksALine) {
  std::string nasty = "/a";
  for (int c = 1; c < 256; ++c) nasty.push_back(static_cast<char>(c));
  nasty.push_back('\0');
  SessionEvent event = sample();
  event.rule = event.listen_host = event.target_host = nasty;
  for (const auto format : {LogFormat::kRinetd, LogFormat::kCommon, LogFormat::kJson}) {
    const std::string text = line(format, event);
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
    EXPECT_EQ(std::count(text.begin(), text.end(), '\t'), format == LogFormat::kRinetd ? 8 : 0);
    EXPECT_EQ(text.find('\r'), std::string::npos);
    EXPECT_EQ(text.find('\0'), std::string::npos);
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
  }
  const std::string common = line(LogFormat::kCommon, event);
  EXPECT_EQ(std::count(common.begin(), common.end(), '"'), 2);
  const std::string plain = line(LogFormat::kCommon, sample());
  EXPECT_EQ(std::count(common.begin(), common.end(), ' '),
            std::count(plain.begin(), plain.end(), ' '));
  EXPECT_EQ(json_line(event)["rule"].get<std::string>().substr(0, 4), "/a\x01\x02");
}

TEST(SessionLine, JsonKeepsUtf8AndMendsWhatIsNot) {
  SessionEvent event = sample();
  for (const std::string good : {"caf\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) {
    event.rule = good;
    EXPECT_EQ(json_line(event)["rule"], good);
  }
  // Cut short, overlong, a surrogate, too large, a byte that never occurs.
  for (const std::string bad :
       {"\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "a\x80"}) {
    event.rule = bad;
    EXPECT_NO_THROW((void)json_line(event)) << line(LogFormat::kJson, event);
    EXPECT_NE(line(LogFormat::kJson, event).find("\\u00"), std::string::npos);
  }
}

TEST(SessionLine, NeedsNoMemoryOnceTheBufferHasGrown) {
  fmt::memory_buffer out;
  out.reserve(4096);
  const char* const memory = out.data();
  for (const auto format : {LogFormat::kRinetd, LogFormat::kCommon, LogFormat::kJson}) {
    out.clear();
    for (int i = 0; i < 10; ++i) append_session_line(out, format, sample(), kTime);
    EXPECT_EQ(out.data(), memory);
  }
}

}  // namespace
}  // namespace sluice::forward
