#include "sandbox/helper_process.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include <array>
#include <string>

#include "unit/sys/loopback.h"

namespace sluice::sandbox {
namespace {

constexpr SeccompMode kMode = SeccompMode::kOff;

void say(const UniqueFd& channel, const std::string& text) {
  (void)::send(channel.get(), text.data(), text.size(), MSG_NOSIGNAL);
}

std::string hear(int channel) {
  std::array<char, 100> text{};
  if (!sys::wait_for(channel, POLLIN, 30'000)) return "nothing";
  const ssize_t got = ::recv(channel, text.data(), text.size(), 0);
  return {text.data(), static_cast<std::size_t>(got < 0 ? 0 : got)};
}

// Until nobody holds the other end.
void await_end(const UniqueFd& channel) {
  while (!hear(channel.get()).empty()) {
  }
}

[[nodiscard]] std::size_t open_descriptors() {
  std::size_t count = 0;
  DIR* const folder = ::opendir("/proc/self/fd");
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count - 3;  // Itself, "." and "..".
}

TEST(HelperProcess, TalksByItsChannelAndIsAwaited) {
  pid_t pid = 0;
  {
    const auto helper = HelperProcess::start("start", SOCK_SEQPACKET, [](UniqueFd channel) {
      say(channel, std::to_string(::getpid()));
      await_end(channel);
      ::_exit(0);
    });
    ASSERT_TRUE(helper.has_value());
    pid = std::stoi(hear(helper->channel()));
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  // Gone and collected.
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(::waitpid(pid, nullptr, WNOHANG), -1);
}

TEST(HelperProcess, WorkThatReturnsIsOver) {
  const auto helper = HelperProcess::start("start", SOCK_STREAM, [](UniqueFd) {});
  ASSERT_TRUE(helper.has_value());
  EXPECT_EQ(hear(helper->channel()), "");
}

TEST(HelperProcess, OneThatIsReleasedEndsWithTheChannel) {
  auto helper = HelperProcess::start("start", SOCK_SEQPACKET, [](UniqueFd channel) {
    say(channel, std::to_string(::getpid()));
    await_end(channel);
    ::_exit(7);
  });
  ASSERT_TRUE(helper.has_value());
  UniqueFd channel = std::move(*helper).release();
  const pid_t pid = std::stoi(hear(channel.get()));
  EXPECT_LT(helper->channel(), 0);
  channel.reset();
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST(HelperProcess, MovesAndIsNothingWhereThereIsNone) {
  HelperProcess none;
  EXPECT_LT(none.channel(), 0);
  auto helper = HelperProcess::start("start", SOCK_SEQPACKET, [](UniqueFd channel) {
    await_end(channel);
    ::_exit(0);
  });
  ASSERT_TRUE(helper.has_value());
  const int channel = helper->channel();
  none = std::move(*helper);
  EXPECT_EQ(none.channel(), channel);
  const HelperProcess other(std::move(none));
  EXPECT_EQ(other.channel(), channel);
}

TEST(StandAlone, ManyChannelsKeepTheirOrderAndNothingElseStays) {
  std::array<UniqueFd, 3> ours;
  std::vector<UniqueFd> theirs;
  for (UniqueFd& end : ours) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
    end = UniqueFd(ends[0]);
    // Others stand between them.
    theirs.insert(theirs.begin(), UniqueFd(::dup(ends[1])));
    ::close(ends[1]);
  }
  const pid_t pid = ::fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    theirs = stand_alone(std::move(theirs), "sluice-test", kMode);
    // Standard input, output and error, and these.
    const std::string count = std::to_string(open_descriptors());
    for (std::size_t i = 0; i < theirs.size(); ++i) say(theirs[i], std::to_string(i) + count);
    ::_exit(0);
  }
  theirs.clear();
  EXPECT_EQ(hear(ours[2].get()), "06");
  EXPECT_EQ(hear(ours[1].get()), "16");
  EXPECT_EQ(hear(ours[0].get()), "26");
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace sluice::sandbox
