#include "forward/log/session_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace sluice::forward {
namespace {

using namespace std::chrono_literals;

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

class TemporaryFile {
 public:
  TemporaryFile() {
    const int fd = ::mkstemp(path_.data());
    EXPECT_GE(fd, 0);
    ::close(fd);
  }
  ~TemporaryFile() { ::unlink(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string content() const {
    std::ostringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str();
  }

 private:
  std::string path_ = "/tmp/sluice-session-log-XXXXXX";
};

TEST(LogFile, AppendsAndMakesTheFilePrivate) {
  const TemporaryFile file;
  ::unlink(file.path().c_str());
  const mode_t mask = ::umask(0);
  {
    const auto log = LogFile::open(file.path(), LogFormat::kJson);
    ASSERT_TRUE(log.has_value());
    EXPECT_EQ((*log)->format(), LogFormat::kJson);
    (*log)->write("one\n");
  }
  ::umask(mask);
  const auto again = LogFile::open(file.path(), LogFormat::kRinetd);
  ASSERT_TRUE(again.has_value());
  (*again)->write("two\n");
  EXPECT_EQ(file.content(), "one\ntwo\n");
  struct stat status{};
  ASSERT_EQ(::stat(file.path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0640U);
}

TEST(LogFile, SaysWhyItCannotBeOpened) {
  const auto log = LogFile::open("/nonexistent/log", LogFormat::kRinetd);
  ASSERT_FALSE(log.has_value());
  EXPECT_EQ(log.error(), (sys::SysError{sys::SysOp::kOpen, ENOENT}));
}

TEST(LogFile, AFifoWithoutAReaderDoesNotHang) {
  const TemporaryFile file;
  ::unlink(file.path().c_str());
  ASSERT_EQ(::mkfifo(file.path().c_str(), 0600), 0);
  const auto log = LogFile::open(file.path(), LogFormat::kRinetd);
  ASSERT_FALSE(log.has_value());
  EXPECT_EQ(log.error().error, ENXIO);
}

TEST(LogFile, AFullDiskLosesLinesAndTellsOnce) {
  LogFile log(UniqueFd(::open("/dev/full", O_WRONLY | O_CLOEXEC)), LogFormat::kRinetd, "/dev/full");
  ::testing::internal::CaptureStderr();
  log.write("one\ntwo\n");
  log.write("three\n");
  const std::string told = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(log.lost(), 3U);
  EXPECT_EQ(std::count(told.begin(), told.end(), '\n'), 1) << told;
  EXPECT_NE(told.find("'/dev/full': No space left on device"), std::string::npos) << told;
}

TEST(LogFile, AfterAShortWriteTheNextLineStandsAlone) {
  const TemporaryFile file;
  const auto log = LogFile::open(file.path(), LogFormat::kRinetd);
  ASSERT_TRUE(log.has_value());
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 6, .rlim_max = before.rlim_max};
  ::testing::internal::CaptureStderr();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  (*log)->write("one\ntwo\nthree\n");  // The kernel takes six bytes, then none.
  (*log)->write("four\n");
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  (*log)->write("five\n");
  (void)::testing::internal::GetCapturedStderr();
  EXPECT_EQ(file.content(), "one\ntw\nfive\n");
  EXPECT_EQ((*log)->lost(), 3U);
}

TEST(LogFile, APipeThatNobodyReadsDoesNotStopUs) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);  // Blocking, as standard output may be.
  const UniqueFd reader(ends[0]);
  LogFile log(UniqueFd(ends[1]), LogFormat::kRinetd, "a pipe");
  std::string lines;
  while (lines.size() < 30'000) lines += "a line of forty characters, or nearly so\n";
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 10; ++i) log.write(lines);
  (void)::testing::internal::GetCapturedStderr();
  EXPECT_GT(log.lost(), 1000U);
  std::string read(1 << 20, '\0');
  const ssize_t got = ::read(reader.get(), read.data(), read.size());
  ASSERT_GT(got, 30'000);
  read.resize(static_cast<std::size_t>(got));
  EXPECT_TRUE(read.ends_with("nearly so\n"));  // Lines were left out whole.
  log.write("after\n");
  std::array<char, 16> rest{};
  ASSERT_EQ(::read(reader.get(), rest.data(), rest.size()), 6);
  EXPECT_STREQ(rest.data(), "after\n");
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
  std::istringstream all(file.content());
  int lines = 0;
  for (std::string text; std::getline(all, text); ++lines) {
    ASSERT_EQ(text, std::string(99, text.front()));
  }
  EXPECT_EQ(lines, 800);
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

std::size_t lines_with(const std::string& text, std::string_view what) {
  std::istringstream lines(text);
  std::size_t count = 0;
  for (std::string one; std::getline(lines, one);) {
    if (one.find(what) != std::string::npos) ++count;
  }
  return count;
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
