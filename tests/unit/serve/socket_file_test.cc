#include "serve/socket_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace sluice::serve {
namespace {

class SocketFileTest : public ::testing::Test {
 protected:
  SocketFileTest() {
    char pattern[] = "/tmp/sluice-file-XXXXXX";
    folder = ::mkdtemp(pattern);
    path = folder + "/s.sock";
    socket = std::move(*sys::bind_unix(sys::real_kernel(), SOCK_STREAM, path, 0600));
  }
  ~SocketFileTest() override { std::filesystem::remove_all(folder); }

  std::string folder;
  std::string path;
  sys::KernelFd socket;
};

TEST_F(SocketFileTest, ItIsGoneWhenItsOwnerIs) {
  {
    const auto file = SocketFile::keep(sys::BoundPath(path));
    ASSERT_TRUE(file.has_value());
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(SocketFileTest, AFileOfAnothersStays) {
  {
    const auto file = SocketFile::keep(sys::BoundPath(path));
    ASSERT_TRUE(file.has_value());
    std::filesystem::rename(path, path + ".old");
    const auto other = sys::bind_unix(sys::real_kernel(), SOCK_STREAM, path, 0600);
    ASSERT_TRUE(other.has_value());
  }
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(SocketFileTest, AnOwnerThatIsKilledLeavesNothingEither) {
  const pid_t pid = ::fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    const auto file = SocketFile::keep(sys::BoundPath(path));
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  using namespace std::chrono_literals;
  for (int i = 0; i < 2000 && std::filesystem::exists(path); ++i) std::this_thread::sleep_for(10ms);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(SocketFileTest, ThePidFileGoesTheSameWay) {
  const std::string pid_path = folder + "/pid";
  for (const bool abstract : {false, true}) {
    {
      auto pid_file = service::PidFile::write(pid_path);
      ASSERT_TRUE(pid_file.has_value());
      const auto file =
          SocketFile::keep(sys::BoundPath(abstract ? "@name" : path), std::move(*pid_file));
      ASSERT_TRUE(file.has_value());
      EXPECT_TRUE(std::filesystem::exists(pid_path));
    }
    EXPECT_FALSE(std::filesystem::exists(pid_path));
  }
}

TEST_F(SocketFileTest, APidFileWithAnothersNumberStays) {
  const std::string pid_path = folder + "/pid";
  {
    auto pid_file = service::PidFile::write(pid_path);
    ASSERT_TRUE(pid_file.has_value());
    const auto file = SocketFile::keep(sys::BoundPath(path), std::move(*pid_file));
    ASSERT_TRUE(file.has_value());
    std::ofstream(pid_path) << "1\n";
  }
  EXPECT_TRUE(std::filesystem::exists(pid_path));
}

TEST_F(SocketFileTest, AnAbstractNameNeedsNothing) {
  EXPECT_TRUE(SocketFile::keep(sys::BoundPath("@name")).has_value());
}

}  // namespace
}  // namespace sluice::serve
