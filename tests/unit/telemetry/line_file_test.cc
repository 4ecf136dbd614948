#include "telemetry/line_file.h"

#include <sys/stat.h>

#include <array>
#include <cerrno>

#include "unit/telemetry/lines.h"

namespace sluice::telemetry {
namespace {

using namespace test;

constexpr LineFileKind kKind{.option = "--log: ", .content = "things", .mode = 0640};

struct Pipe {
  UniqueFd reader;
  UniqueFd writer;

  // Blocking, as standard output may be.
  Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    reader.reset(ends[0]);
    writer.reset(ends[1]);
  }
};

std::string many_lines(std::size_t bytes) {
  std::string lines;
  while (lines.size() < bytes) lines += "a line of forty characters, or nearly so\n";
  return lines;
}

LineFile open_file(const TemporaryFile& place) {
  return std::move(*LineFile::open(place.path(), kKind));
}

TEST(LineFile, AppendsAndMakesTheFileWithItsMode) {
  for (const mode_t mode : {0640U, 0600U}) {
    const TemporaryFile place;
    ::unlink(place.path().c_str());
    const mode_t mask = ::umask(0);
    {
      auto made = LineFile::open(place.path(), {.option = "", .content = "things", .mode = mode});
      ::umask(mask);
      ASSERT_TRUE(made.has_value());
      made->write("one\n");
    }
    open_file(place).write("two\n");
    EXPECT_EQ(place.content(), "one\ntwo\n");
    struct stat status{};
    ASSERT_EQ(::stat(place.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, mode);
  }
}

TEST(LineFile, SaysWhyItCannotBeOpened) {
  const auto file = LineFile::open("/nonexistent/log", kKind);
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error(), (sys::SysError{sys::SysOp::kOpen, ENOENT}));
}

TEST(LineFile, AFifoWithoutAReaderDoesNotHang) {
  const TemporaryFile place;
  ::unlink(place.path().c_str());
  ASSERT_EQ(::mkfifo(place.path().c_str(), 0600), 0);
  const auto file = LineFile::open(place.path(), kKind);
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().error, ENXIO);
  const UniqueFd reader(::open(place.path().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  open_file(place).write("one\n");
  EXPECT_EQ(drain(reader), "one\n");
}

TEST(LineFile, AFullDiskLosesLinesAndTellsOnce) {
  LineFile file(UniqueFd(::open("/dev/full", O_WRONLY | O_CLOEXEC)), "/dev/full", kKind);
  ToldMessages told;
  file.write("one\ntwo\n");
  file.write("three\n");
  EXPECT_EQ(file.offer("four\n"), 5U);  // Nothing to be offered again.
  EXPECT_EQ(file.lost(), 4U);
  EXPECT_EQ(told.text(),
            "sluice: error: --log: cannot write things to '/dev/full': No space left on device; "
            "lines are lost until it can be written\n");
}

TEST(LineFile, TellsWhenLinesAreWrittenAgainOnceToo) {
  const TemporaryFile place;
  LineFile file = open_file(place);
  ToldMessages told;
  for (int time = 0; time < 2; ++time) {
    file.write("before\n");
    {
      const FileSizeLimit full(0);
      file.write("lost\nlost\n");
    }
    file.write("after\n");
  }
  EXPECT_EQ(place.content(), "before\nafter\nbefore\nafter\n");
  EXPECT_EQ(file.lost(), 4U);
  const std::vector<std::string> messages = lines_of(told.text());
  ASSERT_EQ(messages.size(), 2U) << told.text();
  EXPECT_EQ(messages[1], "sluice: warning: --log: things are written to '" + place.path() +
                             "' again; 2 lines were lost");
}

TEST(LineFile, AfterAShortWriteTheNextLineStandsAlone) {
  for (const bool offered : {false, true}) {
    const TemporaryFile place;
    LineFile file = open_file(place);
    ToldMessages told;
    {
      const FileSizeLimit small(6);
      // The kernel takes six bytes, then none.
      if (offered) {
        EXPECT_EQ(file.offer("one\ntwo\nthree\n"), 14U);
      } else {
        file.write("one\ntwo\nthree\n");
      }
      file.write("four\n");
    }
    file.write("five\n");
    EXPECT_EQ(place.content(), "one\ntw\nfive\n");
    EXPECT_EQ(file.lost(), 3U);
  }
}

TEST(LineFile, APipeThatNobodyReadsLosesWholeLines) {
  Pipe pipe;
  LineFile file(std::move(pipe.writer), "a pipe", kKind);
  ToldMessages told;
  const std::string lines = many_lines(30'000);
  for (int i = 0; i < 10; ++i) file.write(lines);
  EXPECT_GT(file.lost(), 1000U);
  const std::string taken = drain(pipe.reader);
  EXPECT_GT(taken.size(), 30'000U);
  EXPECT_TRUE(taken.ends_with("nearly so\n"));
  file.write("after\n");
  EXPECT_EQ(drain(pipe.reader), "after\n");
}

TEST(LineFile, WhatIsOfferedToASlowReaderIsKeptByWhoOffers) {
  Pipe pipe;
  LineFile file(std::move(pipe.writer), "a pipe", kKind);
  ToldMessages told;
  std::string waiting = many_lines(1'000'000);
  const std::string all = waiting;
  std::string read;
  for (int i = 0; i < 10'000 && !waiting.empty(); ++i) {
    waiting.erase(0, file.offer(waiting));
    read += drain(pipe.reader);
  }
  EXPECT_EQ(read, all);
  EXPECT_EQ(file.lost(), 0U);
  EXPECT_EQ(told.text(), "");
}

// A line longer than what a pipe takes at once.
TEST(LineFile, ALineThatWasOfferedGoesOnWhereItWasCut) {
  Pipe pipe;
  LineFile file(std::move(pipe.writer), "a pipe", kKind);
  std::string waiting = std::string(200'000, 'x') + "\ny\n";
  const std::string all = waiting;
  std::string read;
  for (int i = 0; i < 1000 && !waiting.empty(); ++i) {
    waiting.erase(0, file.offer(waiting));
    read += drain(pipe.reader);
  }
  EXPECT_EQ(read, all);
}

TEST(LineFile, LinesForWhichTheCallerHasNoRoomAreTold) {
  Pipe pipe;
  LineFile file(std::move(pipe.writer), "a pipe", kKind);
  ToldMessages told;
  file.lose(1);
  file.lose(2);
  EXPECT_EQ(file.lost(), 3U);
  EXPECT_EQ(file.offer("one\n"), 4U);
  const std::vector<std::string> messages = lines_of(told.text());
  ASSERT_EQ(messages.size(), 2U) << told.text();
  EXPECT_TRUE(messages[0].ends_with("lines are lost until it can be written"));
  EXPECT_TRUE(messages[1].ends_with("again; 3 lines were lost"));
}

TEST(LineFile, AReaderThatIsGoneIsAnError) {
  Pipe pipe;
  LineFile file(std::move(pipe.writer), "a pipe", kKind);
  ToldMessages told;
  pipe.reader.reset();
  auto* const handler = std::signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(file.offer("one\n"), 4U);
  std::signal(SIGPIPE, handler);
  EXPECT_EQ(file.lost(), 1U);
  EXPECT_NE(told.text().find("Broken pipe"), std::string::npos) << told.text();
}

TEST(LineFile, StandardOutputStaysAsItIs) {
  testing::internal::CaptureStdout();
  {
    auto file = LineFile::standard_output(kKind);
    ASSERT_TRUE(file.has_value());
    const int flags = ::fcntl(STDOUT_FILENO, F_GETFL);
    file->write("one\n");
    EXPECT_EQ(::fcntl(STDOUT_FILENO, F_GETFL), flags);
  }
  EXPECT_EQ(::write(STDOUT_FILENO, "two\n", 4), 4);
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "one\ntwo\n");
}

}  // namespace
}  // namespace sluice::telemetry
