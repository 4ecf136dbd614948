#include "telemetry/flow_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <new>
#include <nlohmann/json.hpp>
#include <vector>

#include "telemetry/log.h"
#include "unit/telemetry/lines.h"

namespace {

std::atomic<std::uint64_t> allocations{0};

}  // namespace

// Counts what the program allocates, for the test that a line needs nothing. GCC 12 warns of a
// free() that it sees where something was deleted.
void* operator new(std::size_t size) {
  ++allocations;
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace sluice::telemetry {
namespace {

using namespace std::chrono_literals;
using test::lines_of;
using test::TemporaryFile;
using test::ToldMessages;

FlowRecord sample() {
  FlowRecord record;
  record.guest = {wire::parse_ip("fd00::15").value(), wire::Port{40'000}};
  record.peer = {wire::parse_ip("2001:db8:1234:5678:9abc:def0:1234:5678").value(), wire::Port{443}};
  record.name = "a-name-that-does-not-fit-into-a-short-string.example.org";
  record.opened = std::chrono::sys_days{std::chrono::year{2026} / 3 / 1} + 12h + 123'456us;
  record.duration = 1'250ms;
  record.bytes_to_host = 120;
  record.bytes_to_guest = 5'300;
  return record;
}

TEST(FlowLog, WritesALineOfJsonForEachFlow) {
  const TemporaryFile file;
  FlowLog log = FlowLog::open(file.path()).value();
  log.write(sample());
  FlowRecord denied = sample();
  denied.name = "\"\\\x01\xff";
  denied.protocol = policy::Protocol::kUdp;
  denied.direction = FlowDirection::kInbound;
  denied.verdict = policy::Verdict::kDeniedByPolicy;
  denied.outcome = policy::Outcome::kNotAccepted;
  log.write(denied);
  EXPECT_TRUE(log.pending());
  EXPECT_EQ(file.content(), "");
  log.flush();
  EXPECT_FALSE(log.pending());

  const std::vector<std::string> lines = lines_of(file.content());
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0], R"({"time":"2026-03-01T12:00:00.123456Z","protocol":"tcp","direction":"out",)"
                      R"("guest":"fd00::15","guest_port":40000,)"
                      R"("name":"a-name-that-does-not-fit-into-a-short-string.example.org",)"
                      R"("address":"2001:db8:1234:5678:9abc:def0:1234:5678","port":443,)"
                      R"("bytes_to_host":120,"bytes_to_guest":5300,"duration_s":1.250000,)"
                      R"("verdict":"accepted","outcome":"closed"})");
  EXPECT_EQ(nlohmann::json::parse(lines[0])["duration_s"], 1.25);
  const auto json = nlohmann::json::parse(lines[1]);
  EXPECT_EQ(json["name"], "\\034\\092\\001\\255");
  EXPECT_EQ(json["direction"], "in");
  EXPECT_EQ(json["verdict"], "denied");
}

TEST(FlowLog, AppendsToWhatIsThere) {
  const TemporaryFile file;
  std::ofstream(file.path()) << "before\n";
  FlowLog log = FlowLog::open(file.path()).value();
  log.write(sample());
  log.flush();
  EXPECT_TRUE(file.content().starts_with("before\n{"));
}

TEST(FlowLog, FlushesAtMostOnceASecond) {
  const TemporaryFile file;
  FlowLog log = FlowLog::open(file.path()).value();
  log.write(sample());
  log.flush_if_due(Instant{10s});
  EXPECT_FALSE(log.pending());
  log.write(sample());
  log.flush_if_due(Instant{10'999ms});
  EXPECT_TRUE(log.pending());
  log.flush_if_due(Instant{11s});
  EXPECT_FALSE(log.pending());
}

TEST(FlowLog, ALineAllocatesNothingAfterWarmUp) {
  FlowLog log(UniqueFd(::open("/dev/null", O_WRONLY | O_CLOEXEC)), "/dev/null");
  const FlowRecord record = sample();
  for (int i = 0; i < 500; ++i) log.write(record);
  const std::uint64_t before = allocations;
  for (int i = 0; i < 10'000; ++i) log.write(record);
  EXPECT_EQ(allocations, before);
}

TEST(FlowLog, AFileThatCannotBeOpenedIsAnError) {
  const auto log = FlowLog::open("/nonexistent/directory/flows.json");
  ASSERT_FALSE(log.has_value());
  EXPECT_EQ(log.error(), (sys::SysError{sys::SysOp::kOpen, ENOENT}));
}

TEST(FlowLog, AWriteErrorIsToldOnce) {
  ToldMessages told;
  FlowLog log(UniqueFd(::open("/dev/full", O_WRONLY | O_CLOEXEC)), "/dev/full");
  for (int i = 0; i < 3; ++i) {
    log.write(sample());
    log.flush();
  }
  EXPECT_EQ(told.text(),
            "sluice: error: --flow-log: cannot write flows to '/dev/full': No space left on "
            "device; lines are lost until it can be written\n");
  EXPECT_EQ(log.lost(), 3u);
  EXPECT_FALSE(log.pending());
}

TEST(FlowLog, AfterAnErrorTheNextFlowsAreWritten) {
  const TemporaryFile file;
  FlowLog log = FlowLog::open(file.path()).value();
  ToldMessages told;
  {
    const test::FileSizeLimit full(100);  // Within the first line.
    log.write(sample());
    log.write(sample());
    log.flush();
  }
  EXPECT_EQ(log.lost(), 2u);
  log.write(sample());
  log.finish();
  const std::vector<std::string> lines = lines_of(file.content());
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].size(), 100U);
  EXPECT_TRUE(nlohmann::json::accept(lines[1])) << lines[1];
  EXPECT_EQ(log.lost(), 2u);
  EXPECT_NE(told.text().find("flows are written to '" + file.path() + "' again; 2 lines were lost"),
            std::string::npos)
      << told.text();
}

TEST(FlowLog, APipeWithoutAReaderIsAnErrorAndNotWaitedFor) {
  const TemporaryFile place;
  ::unlink(place.path().c_str());
  ASSERT_EQ(::mkfifo(place.path().c_str(), 0600), 0);
  const auto log = FlowLog::open(place.path());
  ASSERT_FALSE(log.has_value());
  EXPECT_EQ(log.error().error, ENXIO);
}

TEST(FlowLog, APipeThatNobodyReadsIsNotWaitedFor) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  FlowLog log(UniqueFd(ends[1]), "pipe");
  ToldMessages told;
  for (int i = 0; i < 10'000; ++i) log.write(sample());
  EXPECT_GT(log.lost(), 0u);
  const std::uint64_t lost = log.lost();

  // Once it is read again, what was kept comes out whole.
  std::string text;
  std::array<char, 65'536> piece{};
  while (log.pending()) {
    const ssize_t got = ::read(reader.get(), piece.data(), piece.size());
    ASSERT_GT(got, 0);
    text.append(piece.data(), static_cast<std::size_t>(got));
    log.flush();
  }
  text += test::drain(reader);
  const std::vector<std::string> whole = lines_of(text);
  for (const std::string& line : whole) ASSERT_TRUE(nlohmann::json::accept(line)) << line;
  EXPECT_EQ(whole.size() + lost, 10'000u);
}

FlowRecord refusal(policy::Verdict verdict, std::chrono::milliseconds after) {
  FlowRecord record = sample();
  record.opened += after;
  record.duration = {};
  record.verdict = verdict;
  record.outcome = policy::Outcome::kNotAccepted;
  return record;
}

struct Counted {
  std::size_t flows = 0;
  std::vector<nlohmann::json> left_out;
};

Counted counted(const TemporaryFile& file) {
  Counted lines;
  for (const std::string& line : lines_of(file.content())) {
    const auto json = nlohmann::json::parse(line);
    if (json.contains("left_out")) {
      lines.left_out.push_back(json);
    } else {
      ++lines.flows;
    }
  }
  return lines;
}

TEST(FlowLog, RefusalsAreWrittenAtARateForEachReason) {
  const TemporaryFile file;
  FlowLog log = FlowLog::open(file.path()).value();
  // Ten seconds of 1000 refusals a second, of which every tenth has another reason.
  for (int i = 0; i < 10'000; ++i) {
    const auto verdict =
        i % 10 == 0 ? policy::Verdict::kTooManyFlows : policy::Verdict::kDeniedByPolicy;
    log.write(refusal(verdict, std::chrono::milliseconds(i)));
  }
  log.finish();
  const Counted lines = counted(file);
  // 100 and 10 a second, of both.
  EXPECT_GE(lines.flows, 390u);
  EXPECT_LE(lines.flows, 400u);
  std::uint64_t left_out = 0;
  for (const auto& line : lines.left_out) left_out += line["left_out"].get<std::uint64_t>();
  EXPECT_EQ(lines.flows + left_out, 10'000u);
  EXPECT_LE(lines.left_out.size(), lines.flows + 2);
  EXPECT_EQ(lines.left_out.back()["verdict"], "too many flows");
  EXPECT_EQ(lines.left_out.back()["outcome"], "not accepted");
}

TEST(FlowLog, WhatWasLeftOutIsToldWhenItResumes) {
  const TemporaryFile file;
  FlowLog log = FlowLog::open(file.path()).value();
  for (int i = 0; i < 150; ++i) log.write(refusal(policy::Verdict::kHostAddress, 0ms));
  log.flush();
  EXPECT_EQ(counted(file).flows, 100u);
  EXPECT_TRUE(counted(file).left_out.empty());
  log.write(refusal(policy::Verdict::kHostAddress, 1s));
  log.finish();
  const Counted lines = counted(file);
  EXPECT_EQ(lines.flows, 101u);
  ASSERT_EQ(lines.left_out.size(), 1u);
  EXPECT_EQ(lines.left_out[0]["left_out"], 50);
  EXPECT_EQ(lines.left_out[0]["verdict"], "host address");
  EXPECT_EQ(lines.left_out[0]["time"], "2026-03-01T12:00:01.123456Z");
}

TEST(FlowLog, WhatStrangersMakeRoomWithIsLimitedToo) {
  const TemporaryFile file;
  FlowLog log = FlowLog::open(file.path()).value();
  FlowRecord record = sample();
  record.direction = FlowDirection::kInbound;
  record.outcome = policy::Outcome::kMadeRoom;
  for (int i = 0; i < 1000; ++i) log.write(record);
  // Flows that went their way are all written.
  for (int i = 0; i < 1000; ++i) log.write(sample());
  log.finish();
  const Counted lines = counted(file);
  EXPECT_EQ(lines.flows, 1100u);
  ASSERT_EQ(lines.left_out.size(), 1u);
  EXPECT_EQ(lines.left_out[0]["left_out"], 900);
  EXPECT_EQ(lines.left_out[0]["outcome"], "made room");
}

TEST(FlowLog, IsMadeForItsOwnerAlone) {
  const TemporaryFile place;
  ::unlink(place.path().c_str());
  const mode_t before = ::umask(0);
  const auto log = FlowLog::open(place.path());
  ::umask(before);
  ASSERT_TRUE(log.has_value());
  struct stat status{};
  ASSERT_EQ(::stat(place.path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST(Log, OneLineAMessage) {
  ToldMessages told;
  set_log_program("sluice run");
  log_warn("{} of {}", 1, "two\n\x1b[2J");
  log_info("not at this level");
  set_log_level(LogLevel::kInfo);
  log_info("shown");
  log_error("bad");
  set_log_level(LogLevel::kWarn);
  set_log_program("sluice");
  EXPECT_EQ(told.text(),
            "sluice run: warning: 1 of two\\x0a\\x1b[2J\n"
            "sluice run: shown\n"
            "sluice run: error: bad\n");
}

TEST(Log, LevelsAreReadBackFromTheirNames) {
  for (const LogLevel level :
       {LogLevel::kError, LogLevel::kWarn, LogLevel::kInfo, LogLevel::kDebug, LogLevel::kTrace}) {
    EXPECT_EQ(parse_log_level(to_string(level)), level);
  }
  EXPECT_EQ(parse_log_level("warning"), LogLevel::kWarn);
  EXPECT_EQ(parse_log_level("loud"), std::nullopt);
  EXPECT_EQ(parse_log_level(""), std::nullopt);
}

}  // namespace
}  // namespace sluice::telemetry
