#include "serve/machine_guest.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>

#include "base/unique_fd.h"
#include "telemetry/log.h"

namespace sluice::serve {
namespace {

class MachineGuestTest : public ::testing::Test {
 protected:
  MachineGuestTest() {
    char pattern[] = "/tmp/sluice-machine-XXXXXX";
    folder = ::mkdtemp(pattern);
    path = folder + "/vm.sock";
  }
  ~MachineGuestTest() override { std::filesystem::remove_all(folder); }

  [[nodiscard]] std::expected<void, sys::SetupError> begin(MachineGuest& guest) const {
    return guest.begin({.network = network,
                        .resolver_options = options,
                        .fast_path = policy::FastPathUse::kOff,
                        .workers = workers,
                        .signals = signals,
                        .descriptor_limit = {}});
  }
  [[nodiscard]] UniqueFd connect() const {
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
    const auto address = sys::unix_sockaddr(path);
    EXPECT_EQ(::connect(socket.get(), address->get(), address->length), 0);
    return socket;
  }

  std::string folder;
  std::string path;
  flow::GuestNetwork network;
  std::vector<std::string> options;
  sys::SavedSignals signals;
  std::uint32_t workers = 1;
};

TEST_F(MachineGuestTest, AFrontEndMayConnectOnceItHasBegun) {
  {
    MachineGuest guest({.link = MachineVhostUser{.path = path}});
    ASSERT_TRUE(begin(guest).has_value());
    const UniqueFd front_end = connect();
    auto ends = guest.await(sys::real_kernel());
    ASSERT_TRUE(ends.has_value());
    const auto turn = [&] { return ends->links.front()->read_burst(link::Link::Depth::kToTheEnd); };
    EXPECT_FALSE(turn().gone);
    const std::array<std::uint32_t, 3> get_features{1, 1, 0};
    ASSERT_EQ(::send(front_end.get(), get_features.data(), sizeof get_features, 0), 12);
    EXPECT_FALSE(turn().gone);
    std::array<std::uint32_t, 5> answer{};
    EXPECT_EQ(::recv(front_end.get(), answer.data(), sizeof answer, MSG_DONTWAIT), 20);
    EXPECT_EQ(answer[2], 8U);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(MachineGuestTest, ThereIsALinkForEachWorkerAsFarAsThereAreQueues) {
  workers = 3;
  MachineGuest two({.link = MachineVhostUser{.path = path, .queues = 2}});
  ASSERT_TRUE(begin(two).has_value());
  auto ends = two.await(sys::real_kernel());
  ASSERT_TRUE(ends.has_value());
  EXPECT_EQ(ends->links.size(), 2U);
  MachineGuest one({.link = MachineSocketPath{.path = path + "2"}});
  ASSERT_TRUE(begin(one).has_value());
  auto end = one.await(sys::real_kernel());
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->links.size(), 1U);
}

TEST_F(MachineGuestTest, MonitorsMayConnectOnceItHasBegun) {
  {
    MachineGuest guest({.link = MachineSocketPath{.path = path}});
    ASSERT_TRUE(begin(guest).has_value());
    UniqueFd first = connect();
    auto ends = guest.await(sys::real_kernel());
    ASSERT_TRUE(ends.has_value());
    EXPECT_FALSE(ends->links.front()->read_burst(link::Link::Depth::kToTheEnd).gone);
    first.reset();
    EXPECT_FALSE(ends->links.front()->read_burst(link::Link::Depth::kToTheEnd).gone);
    EXPECT_FALSE(guest.exit_status().has_value());
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(MachineGuestTest, ItsNumberIsInItsFileWhileItLives) {
  const std::string pid_path = folder + "/pid";
  {
    MachineGuest guest({.link = MachineSocketPath{.path = path}, .pid_file = pid_path});
    ASSERT_TRUE(begin(guest).has_value());
    pid_t pid = 0;
    std::ifstream(pid_path) >> pid;
    EXPECT_EQ(pid, ::getpid());
  }
  EXPECT_FALSE(std::filesystem::exists(pid_path));
}

TEST_F(MachineGuestTest, APidFileThatCannotBeWrittenIsNamedAndNoSocketStays) {
  MachineGuest guest({.link = MachineSocketPath{.path = path}, .pid_file = folder + "/no/pid"});
  const auto begun = begin(guest);
  ASSERT_FALSE(begun.has_value());
  EXPECT_TRUE(begun.error().describe().starts_with("--pid-file: write '"))
      << begun.error().describe();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(MachineGuestTest, AFrontEndThatIsHandedOverIsTheOnlyOne) {
  std::array<int, 2> pair{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
  UniqueFd front_end(pair[0]);
  MachineGuest guest(
      {.link = MachineVhostUser{.role = MachineVhostUser::Role::kGiven, .fd = pair[1]}});
  ASSERT_TRUE(begin(guest).has_value());
  auto ends = guest.await(sys::real_kernel());
  ASSERT_TRUE(ends.has_value());
  const auto turn = [&] { return ends->links.front()->read_burst(link::Link::Depth::kToTheEnd); };
  const std::array<std::uint32_t, 3> get_features{1, 1, 0};
  ASSERT_EQ(::send(front_end.get(), get_features.data(), sizeof get_features, 0), 12);
  EXPECT_FALSE(turn().gone);
  EXPECT_FALSE(turn().gone);
  std::array<std::uint32_t, 5> answer{};
  EXPECT_EQ(::recv(front_end.get(), answer.data(), sizeof answer, MSG_DONTWAIT), 20);
  front_end.reset();
  EXPECT_TRUE(turn().gone);
}

TEST_F(MachineGuestTest, AFrontEndBySomethingElseThanAStreamIsRefused) {
  std::array<int, 2> pair{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair.data()), 0);
  const UniqueFd front_end(pair[0]);
  MachineGuest guest(
      {.link = MachineVhostUser{.role = MachineVhostUser::Role::kGiven, .fd = pair[1]}});
  EXPECT_FALSE(begin(guest).has_value());
}

TEST_F(MachineGuestTest, ADescriptorThatIsNoSocketIsRefusedWithItsNumber) {
  MachineGuest guest({.link = MachineDescriptor{9999}});
  const auto begun = begin(guest);
  ASSERT_FALSE(begun.has_value());
  EXPECT_TRUE(begun.error().describe().starts_with("descriptor 9999: "));
}

TEST_F(MachineGuestTest, ASignalOrTheEndOfTheLinkEndsIt) {
  MachineGuest guest({.link = MachineSocketPath{.path = path}});
  signalfd_siginfo info{};
  info.ssi_signo = SIGTERM;
  guest.on_signal(info);
  EXPECT_EQ(guest.exit_status(), 0);
  MachineGuest other({.link = MachineSocketPath{.path = path}});
  other.on_link_gone();
  EXPECT_EQ(other.exit_status(), 0);
}

TEST_F(MachineGuestTest, WhatAPersonShouldKnowIsPrinted) {
  MachineGuest guest({.link = MachineSocketPath{.path = path}});
  ASSERT_TRUE(begin(guest).has_value());
  const auto ends = guest.await(sys::real_kernel());
  ASSERT_TRUE(ends.has_value());
  const UniqueFd first = connect();
  const UniqueFd second = connect();
  testing::internal::CaptureStderr();
  (void)ends->links.front()->read_burst(link::Link::Depth::kToTheEnd);
  ASSERT_EQ(::send(first.get(), "GET /", 5, 0), 5);
  (void)ends->links.front()->read_burst(link::Link::Depth::kToTheEnd);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("a second guest was turned away"), std::string::npos) << said;
  EXPECT_NE(said.find("a frame cannot have 1195725856 bytes"), std::string::npos) << said;
}

}  // namespace
}  // namespace sluice::serve
