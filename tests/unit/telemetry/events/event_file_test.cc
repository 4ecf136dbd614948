#include "telemetry/events/event_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <string>

#include "unit/telemetry/events/checked_stream.h"
#include "unit/telemetry/lines.h"

namespace sluice::telemetry {
namespace {

using namespace std::chrono_literals;
using test::CheckedStream;
using test::FileSizeLimit;
using test::lines_of;
using test::TemporaryFile;
using test::ToldMessages;

void add(EventFile& file, std::uint64_t sequence) {
  fmt::memory_buffer line;
  const EventHead head{sequence, {}, "k3f9wa"};
  append_event(line, head, StartEvent{.program = "a test", .version = "1"});
  file.queue().add(head, {line.data(), line.size()});
}

TEST(EventFile, IsForItsOwnerAndIsWrittenSoon) {
  const TemporaryFile place;
  ::unlink(place.path().c_str());
  EventFile file = EventFile::open(place.path()).value();
  struct stat status{};
  ASSERT_EQ(::stat(place.path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
  EXPECT_EQ(file.next_flush(), kNever);
  add(file, 1);
  file.flush_if_due(Instant{10s});
  EXPECT_EQ(lines_of(place.content()).size(), 1U);
  add(file, 2);
  file.flush_if_due(Instant{10s + 99ms});
  EXPECT_EQ(lines_of(place.content()).size(), 1U);
  EXPECT_EQ(file.next_flush(), Instant{10s + 100ms});
  file.flush_if_due(Instant{10s + 100ms});
  EXPECT_EQ(lines_of(place.content()).size(), 2U);
}

TEST(EventFile, AFullDiskLosesEventsAndTellsOfThemLater) {
  const TemporaryFile place;
  ToldMessages told;
  EventFile file = EventFile::open(place.path()).value();
  {
    const FileSizeLimit limit(1'000);
    for (std::uint64_t i = 1; i <= 30; ++i) {
      add(file, i);
      if (i % 5 == 0) file.flush();
    }
  }
  add(file, 31);
  file.flush();
  const CheckedStream stream(lines_of(place.content()));
  EXPECT_EQ(stream.last, 31U);
  EXPECT_GT(stream.lost, 0U);
  EXPECT_EQ(stream.lost, file.queue().lost());
  EXPECT_EQ(stream.events + stream.lost, 31U);
  EXPECT_NE(told.text().find("--events: cannot write events to"), std::string::npos);
}

TEST(EventFile, APipeThatNobodyReadsIsNotWaitedFor) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  ToldMessages told;
  EventFile file(LineFile(UniqueFd(ends[1]), "a pipe", {.option = "", .content = "events"}));
  std::string read;
  std::uint64_t sequence = 0;
  while (file.queue().lost() < 100) {
    add(file, ++sequence);
    if (sequence % 64 == 0) file.flush();
  }
  EXPECT_LE(file.queue().pending().size(), 1024U * 1024U);
  read += test::drain(reader);
  while (!file.queue().empty()) {
    file.flush();
    read += test::drain(reader);
  }
  add(file, ++sequence);
  file.flush();
  read += test::drain(reader);
  const CheckedStream stream(lines_of(read));
  EXPECT_EQ(stream.last, sequence);
  EXPECT_EQ(stream.events + stream.lost, sequence);
}

}  // namespace
}  // namespace sluice::telemetry
