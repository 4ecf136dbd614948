#include "box/fs/file_server.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <fstream>

namespace sluice::box {
namespace {

// Within what any machine needs.
bool ends(int pidfd) {
  pollfd wait{.fd = pidfd, .events = POLLIN, .revents = 0};
  return ::poll(&wait, 1, 30'000) == 1;
}

std::string_view search_path() {
  const char* const path = ::getenv("PATH");
  return path == nullptr ? "" : path;
}

class FileServerTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto program = find_virtiofsd(search_path());
    if (!program) GTEST_SKIP() << program.error().describe();
    plan_.tree.directory = "/etc";
    plan_.program = *program;
  }
  std::expected<FileServer, sys::SetupError> start() {
    return FileServer::start(sys::real_kernel(), plan_);
  }

  FileServerPlan plan_;
};

TEST_F(FileServerTest, ServesAndEndsWithItsConnection) {
  auto server = start();
  ASSERT_TRUE(server.has_value()) << server.error().describe();
  const auto features = server->front_end().get(link::VhostRequest::kGetFeatures);
  while (server->read_log() && !features) {
  }
  ASSERT_TRUE(features.has_value()) << features.error() << ": " << server->last_words();
  EXPECT_NE((*features >> 32) & 1, 0U);
  server->hang_up();
  EXPECT_TRUE(ends(server->pidfd()));
}

TEST_F(FileServerTest, EndsWhenWeAreKilled) {
  // Its parent is one of ours, so that it can be killed; what is orphaned is ours to collect.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto server = start();
    if (!server || !server->front_end().get(link::VhostRequest::kGetFeatures)) ::_exit(1);
    (void)!::write(pipe[1], "x", 1);
    ::pause();
    ::_exit(2);
  }
  ::close(pipe[1]);
  char byte = 0;
  ASSERT_EQ(::read(pipe[0], &byte, 1), 1);
  ::kill(child, SIGKILL);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  // The server, that has no other parent: a hang-up or its parent's death ends it.
  for (pid_t other = 0; other >= 0;) other = ::waitpid(-1, &status, 0);
  EXPECT_EQ(errno, ECHILD);
  ::close(pipe[0]);
  ::prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}

TEST_F(FileServerTest, LeavesNothingBehind) {
  std::string directory = "/tmp/file-server-XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  ::setenv("TMPDIR", directory.c_str(), 1);
  {
    EXPECT_TRUE(start().has_value());
  }
  ::unsetenv("TMPDIR");
  EXPECT_EQ(::rmdir(directory.c_str()), 0);
}

TEST_F(FileServerTest, AProgramThatIsNotThereIsNamed) {
  plan_.program.path = "/nowhere/virtiofsd";
  const auto server = start();
  ASSERT_FALSE(server.has_value());
  EXPECT_NE(server.error().describe().find("/nowhere/virtiofsd"), std::string::npos);
}

TEST_F(FileServerTest, ADirectoryThatIsNotThereIsNamed) {
  plan_.tree.directory = "/nowhere/at/all";
  const auto server = start();
  ASSERT_FALSE(server.has_value());
  EXPECT_NE(server.error().describe().find("/nowhere/at/all"), std::string::npos);
}

TEST_F(FileServerTest, WhatItSaidLastIsKnown) {
  std::string script = testing::TempDir() + "/virtiofsd-says-XXXXXX";
  ::close(::mkstemp(script.data()));
  std::ofstream(script) << "#!/bin/sh\necho first\necho 'no such luck' >&2\nexit 1\n";
  ASSERT_EQ(::chmod(script.c_str(), 0755), 0);
  plan_.program.path = script;
  auto server = start();
  ASSERT_TRUE(server.has_value()) << server.error().describe();
  EXPECT_TRUE(ends(server->pidfd()));
  EXPECT_FALSE(server->read_log());
  EXPECT_EQ(server->last_words(), "no such luck");
  EXPECT_FALSE(server->front_end().get(link::VhostRequest::kGetFeatures).has_value());
  ::unlink(script.c_str());
}

}  // namespace
}  // namespace sluice::box
