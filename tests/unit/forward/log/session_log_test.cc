#include "forward/log/session_log.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "unit/telemetry/lines.h"

namespace sluice::forward {
namespace {

using namespace std::chrono_literals;
using telemetry::test::lines_of;
using telemetry::test::lines_with;
using telemetry::test::TemporaryFile;

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

std::string line(LogFormat format, const SessionEvent& event) {
  fmt::memory_buffer out;
  append_session_line(out, format, event, std::chrono::system_clock::now());
  return fmt::to_string(out);
}

TEST(LogFile, IsAFileOfLinesForItsOwnerAndTheOwnersGroup) {
  const TemporaryFile file;
  ::unlink(file.path().c_str());
  const mode_t mask = ::umask(0);
  const auto log = LogFile::open(file.path(), LogFormat::kJson);
  ::umask(mask);
  ASSERT_TRUE(log.has_value());
  EXPECT_EQ((*log)->format(), LogFormat::kJson);
  (*log)->write("one\n");
  EXPECT_EQ(file.content(), "one\n");
  EXPECT_EQ((*log)->lost(), 0U);
  struct stat status{};
  ASSERT_EQ(::stat(file.path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0640U);
}

TEST(LogFile, SaysWhyItCannotBeOpened) {
  const auto log = LogFile::open("/nonexistent/log", LogFormat::kRinetd);
  ASSERT_FALSE(log.has_value());
  EXPECT_EQ(log.error(), (sys::SysError{sys::SysOp::kOpen, ENOENT}));
}

TEST(LogFile, ALossNamesTheSessions) {
  telemetry::test::ToldMessages told;
  LogFile log(UniqueFd(::open("/dev/full", O_WRONLY | O_CLOEXEC)), LogFormat::kRinetd, "/dev/full");
  log.write("one\ntwo\n");
  EXPECT_EQ(log.lost(), 2U);
  EXPECT_EQ(told.text(),
            "sluice: error: cannot write sessions to '/dev/full': No space left on device; "
            "lines are lost until it can be written\n");
}

TEST(LogFile, ADashIsStandardOutput) {
  testing::internal::CaptureStdout();
  {
    const auto log = LogFile::open("-", LogFormat::kRinetd);
    ASSERT_TRUE(log.has_value());
    (*log)->write("one\n");
  }
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "one\n");
}

TEST(LogFile, LinesOfSeveralThreadsDoNotMix) {
  const TemporaryFile file;
  const auto log = LogFile::open(file.path(), LogFormat::kRinetd);
  ASSERT_TRUE(log.has_value());
  {
    std::vector<std::jthread> threads;
    for (char name = 'a'; name < 'e'; ++name) {
      threads.emplace_back([&log, text = std::string(99, name) + '\n'] {
        for (int i = 0; i < 200; ++i) (*log)->write(text);
      });
    }
  }
  const std::vector<std::string> lines = lines_of(file.content());
  for (const std::string& text : lines) ASSERT_EQ(text, std::string(99, text.front()));
  EXPECT_EQ(lines.size(), 800U);
}

TEST(SessionLog, WithoutAFileNothingIsKept) {
  SessionLog log;
  EXPECT_FALSE(log.enabled());
  log.write(sample(), Instant{1s});
  EXPECT_EQ(log.flush_at(), kNever);
  log.flush();
}

TEST(SessionLog, GathersUntilTheDelayIsOver) {
  const TemporaryFile file;
  SessionLog log;
  log.set_file(*LogFile::open(file.path(), LogFormat::kRinetd));
  EXPECT_TRUE(log.enabled());
  EXPECT_EQ(log.flush_at(), kNever);
  log.write(sample(), Instant{1s});
  log.write(sample(), Instant{1s} + 30ms);
  EXPECT_EQ(log.flush_at(), Instant{1s} + SessionLog::kFlushDelay);  // Of the oldest line.
  EXPECT_EQ(file.content(), "");
  log.flush();
  EXPECT_EQ(log.flush_at(), kNever);
  const std::string text = file.content();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2);
}

TEST(SessionLog, AFullBufferIsWrittenWithoutBeingAsked) {
  const TemporaryFile file;
  SessionLog log;
  log.set_file(*LogFile::open(file.path(), LogFormat::kRinetd));
  const std::size_t size = line(LogFormat::kRinetd, sample()).size();
  const std::size_t enough = SessionLog::kFlushSize / size + 1;
  for (std::size_t i = 0; i < enough; ++i) log.write(sample(), Instant{1s});
  EXPECT_EQ(file.content().size(), enough * size);
  EXPECT_EQ(log.flush_at(), kNever);
}

TEST(SessionLog, ANewFileGetsNothingOfTheOldOnesLines) {
  const TemporaryFile first;
  const TemporaryFile second;
  {
    SessionLog log;
    log.set_file(*LogFile::open(first.path(), LogFormat::kRinetd));
    log.write(sample(), Instant{1s});
    log.set_file(*LogFile::open(second.path(), LogFormat::kJson));
    log.write(sample(), Instant{2s});
  }  // What is left is written when the log goes.
  EXPECT_TRUE(first.content().ends_with("\tdone-remote-closed\n"));
  EXPECT_TRUE(second.content().starts_with("{\"time\":"));
}

TEST(SessionLog, RefusalsAreBoundedAndTheOthersCounted) {
  const TemporaryFile file;
  SessionLog log;
  log.set_file(LogFile::open(file.path(), LogFormat::kJson).value());
  SessionEvent refused = sample();
  refused.result = SessionResult::kDenied;
  const Instant start{100s};
  for (int i = 0; i < 100'000; ++i) log.write(refused, start);
  // Neither another reason nor a session that begins is held up.
  refused.result = SessionResult::kLimited;
  log.write(refused, start);
  for (int i = 0; i < 1000; ++i) log.write(sample(), start);
  log.on_time(start + SessionLog::kFlushDelay);
  std::string text = file.content();
  EXPECT_EQ(lines_with(text, R"("result":"denied")"), 100u);
  EXPECT_EQ(lines_with(text, R"("result":"limited")"), 1u);
  EXPECT_EQ(lines_with(text, R"("result":"client-closed")"), 1000u);
  EXPECT_EQ(lines_with(text, "left_out"), 0u);
  // The count comes without another refusal, and once.
  EXPECT_EQ(log.flush_at(), start + SessionLog::kLeftOutDelay);
  log.on_time(start + SessionLog::kLeftOutDelay);
  EXPECT_EQ(log.flush_at(), kNever);
  log.flush();
  text = file.content();
  EXPECT_EQ(lines_with(text, R"("event":"refused","result":"denied","left_out":99900})"), 1u);
  EXPECT_EQ(lines_with(text, "left_out"), 1u);
  // A second later there are lines again.
  refused.result = SessionResult::kDenied;
  for (int i = 0; i < 100; ++i) log.write(refused, start + 1s);
  log.flush();
  text = file.content();
  EXPECT_EQ(lines_with(text, R"("result":"denied","bytes)"), 110u);
  EXPECT_EQ(lines_with(text, R"("left_out":90})"), 1u);
}

TEST(SessionLog, WhatWasLeftOutIsToldInEveryFormat) {
  const auto now = std::chrono::system_clock::now();
  for (const auto& [format, wanted] :
       {std::pair{LogFormat::kRinetd, "\t-\t*\t0\t-\t0\t0\t0\t7-more-limited\n"},
        {LogFormat::kCommon,
         R"("GET /rinetd-services/*/0/-/0/7-more-limited HTTP/1.0" 200 0 - - - 0)"},
        {LogFormat::kJson, R"(Z","event":"refused","result":"limited","left_out":7})"}}) {
    fmt::memory_buffer out;
    append_left_out_line(out, format, {.result = SessionResult::kLimited, .count = 7}, now);
    const std::string text = fmt::to_string(out);
    EXPECT_NE(text.find(wanted), std::string::npos) << text;
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  }
}

}  // namespace
}  // namespace sluice::forward
