// Against the virtiofsd of this system: its FUSE messages by a queue in shared memory.
#include "box/fs/fs_device.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "sys/event_fd.h"
#include "unit/box/device/mock_machine.h"

namespace sluice::box::test {
namespace {

constexpr std::uint64_t kGuestBase = 0x1000'0000;
constexpr std::size_t kQueueBytes = 1 << 20;
constexpr std::size_t kRequests = 1;  // The queue of requests.

std::string_view search_path() {
  const char* const path = ::getenv("PATH");
  return path == nullptr ? "" : path;
}

// A guest whose memory is a memfd, with a driver for each queue.
class Guest {
 public:
  Guest() : file_(::memfd_create("guest", MFD_CLOEXEC)) {
    EXPECT_EQ(::ftruncate(file_.get(), 2 * kQueueBytes), 0);
    void* const at =
        ::mmap(nullptr, 2 * kQueueBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
    EXPECT_NE(at, MAP_FAILED);
    bytes_ = {static_cast<std::uint8_t*>(at), 2 * kQueueBytes};
    make_rings();
  }
  // As a driver has them that is only just loaded.
  void make_rings() {
    std::ranges::fill(bytes_, std::uint8_t{0});
    for (std::size_t i = 0; i < 2; ++i) {
      drivers_[i] =
          virtio::test::make_mock_driver({.size = 32,
                                          .data_bytes = 512 * 1024,
                                          .guest_base = kGuestBase + i * kQueueBytes,
                                          .storage = bytes_.subspan(i * kQueueBytes, kQueueBytes)});
    }
  }
  ~Guest() { ::munmap(bytes_.data(), bytes_.size()); }

  [[nodiscard]] MemoryFile memory() const {
    return {.fd = file_.get(), .ranges = {{kGuestBase, bytes_.size(), 0}}};
  }
  [[nodiscard]] std::vector<virtio::MmioQueueSetup> setups() {
    std::vector<virtio::MmioQueueSetup> setups;
    for (const auto& driver : drivers_) {
      const auto address = [&](const std::uint8_t* at) {
        return kGuestBase + static_cast<std::uint64_t>(at - bytes_.data());
      };
      setups.push_back({.size = 32,
                        .ready = true,
                        .descriptors = address(driver->descriptor(0)),
                        .driver = address(driver->driver_area()),
                        .device = address(driver->device_area())});
    }
    return setups;
  }
  virtio::test::MockDriver& requests() { return *drivers_[kRequests]; }

 private:
  UniqueFd file_;
  MutableBytes bytes_;
  std::array<std::unique_ptr<virtio::test::MockDriver>, 2> drivers_;
};

// A device with its server, for a directory with a file in it.
class Served {
 public:
  explicit Served(TreeAccess access) {
    directory_ = "/tmp/fs-device-XXXXXX";
    EXPECT_NE(::mkdtemp(directory_.data()), nullptr);
    std::ofstream(directory_ + "/file") << "content";
    outside_ = directory_ + "-outside";
    std::ofstream{outside_} << "content";
    const auto program = find_virtiofsd(search_path());
    auto server =
        FileServer::start(sys::real_kernel(), {.tree = {.directory = directory_, .access = access},
                                               .tag = "share0",
                                               .program = *program});
    if (!server) {
      error = server.error().describe();
      return;
    }
    server_.emplace(std::move(*server));
    thread = std::move(*DeviceThread::create(sys::real_kernel()));
    auto made = FsDevice::create(*thread, *server_, guest.memory(),
                                 [this](std::string_view text) { told.emplace_back(text); });
    if (!made) {
      error = made.error().describe();
      return;
    }
    device = std::move(*made);
    device->attach(interrupt);
  }
  ~Served() {
    device.reset();
    thread.reset();
    server_.reset();
    for (const char* name : {"/file", "/made"}) ::remove((directory_ + name).c_str());
    ::rmdir(directory_.c_str());
    ::remove(outside_.c_str());
  }
  void kill_server() {
    ASSERT_EQ(::syscall(SYS_pidfd_send_signal, server_->pidfd(), SIGKILL, nullptr, 0), 0);
  }
  [[nodiscard]] bool has_made() const {
    return ::access((directory_ + "/made").c_str(), F_OK) == 0;
  }

  // The error of the answer, 0 or -errno; 1: there was none in so many tenths of a second.
  int ask(std::uint32_t opcode, std::uint64_t node, ByteView arguments, int patience = 300) {
    fuse_in_header head{};
    head.len = static_cast<std::uint32_t>(sizeof head + arguments.size());
    head.opcode = opcode;
    head.unique = ++unique_;
    head.nodeid = node;
    head.uid = ::geteuid();
    head.gid = ::getegid();
    const auto* const at = reinterpret_cast<const std::uint8_t*>(&head);
    const auto answer = guest.requests().writable(1024);
    guest.requests().offer({guest.requests().readable({at, sizeof head}),
                            guest.requests().readable(arguments), answer});
    guest.requests().show();
    kick(*device, kRequests);
    std::optional<virtio::test::MockDriver::Used> used;
    for (int i = 0; i < patience && !used; ++i) {
      pollfd wait{.fd = interrupt.fd(), .events = POLLIN, .revents = 0};
      (void)::poll(&wait, 1, 100);
      sys::drain(sys::real_kernel(), interrupt.fd());
      used = guest.requests().take_used();
    }
    if (!used || used->written < sizeof(fuse_out_header)) return 1;
    fuse_out_header out{};
    std::memcpy(&out, guest.requests().at(answer).data(), sizeof out);
    return out.unique == unique_ ? out.error : 1;
  }
  int init() {
    fuse_init_in in{};
    in.major = FUSE_KERNEL_VERSION;
    in.minor = 31;
    // As it was before its flags had a second word.
    return ask(FUSE_INIT, 0, {reinterpret_cast<const std::uint8_t*>(&in), 16});
  }
  int look_up(std::string_view name) {
    const std::string text(name);
    return ask(FUSE_LOOKUP, FUSE_ROOT_ID,
               {reinterpret_cast<const std::uint8_t*>(text.c_str()), text.size() + 1});
  }
  int remove(std::string_view name) {
    const std::string text(name);
    return ask(FUSE_UNLINK, FUSE_ROOT_ID,
               {reinterpret_cast<const std::uint8_t*>(text.c_str()), text.size() + 1});
  }
  // Of a file beside the directory.
  [[nodiscard]] std::vector<std::string> names_outside() const {
    return {outside_, ".." + outside_.substr(outside_.rfind('/')), "file/../../" + outside_};
  }
  [[nodiscard]] bool is_there_outside() const { return ::access(outside_.c_str(), F_OK) == 0; }
  // A link in the root that leads to somewhere else.
  int make_link(std::string_view target) {
    // The name and its end, the target and its end.
    std::string text("made");
    text += '\0';
    text += target;
    text += '\0';
    return ask(FUSE_SYMLINK, FUSE_ROOT_ID,
               {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  }
  // Whether its process has ended, and that was told.
  bool is_dead() {
    for (int i = 0; i < 20 && told.empty(); ++i) thread->turn(Instant{});
    return !told.empty();
  }
  int make_directory() {
    std::array<std::uint8_t, sizeof(fuse_mkdir_in) + 5> in{};
    fuse_mkdir_in head{};
    head.mode = 0755;
    std::memcpy(in.data(), &head, sizeof head);
    std::memcpy(in.data() + sizeof head, "made", 5);
    return ask(FUSE_MKDIR, FUSE_ROOT_ID, in);
  }

  Guest guest;
  MockInterrupt interrupt;
  std::string error;
  std::vector<std::string> told;
  std::unique_ptr<DeviceThread> thread;
  std::unique_ptr<FsDevice> device;

 private:
  std::string directory_;
  std::string outside_;
  std::optional<FileServer> server_;
  std::uint64_t unique_ = 0;
};

// Zero where it serves as it should; otherwise what went wrong.
std::string use(TreeAccess access) {
  Served served(access);
  if (!served.error.empty()) return served.error;
  if (!served.device->start(served.device->offered(), served.guest.setups())) {
    return served.told.empty() ? "no start" : served.told.front();
  }
  if (const int error = served.init(); error != 0) return fmt::format("INIT: {}", error);
  if (const int error = served.look_up("file"); error != 0) return fmt::format("LOOKUP: {}", error);
  if (const int error = served.look_up("none"); error != -ENOENT) {
    return fmt::format("LOOKUP of none: {}", error);
  }
  const int made = served.make_directory();
  const bool writable = access == TreeAccess::kWritable;
  if (made != (writable ? 0 : -EROFS) || served.has_made() != writable) {
    return fmt::format("MKDIR: {}", made);
  }
  served.device->reset();
  return "";
}

class FsDeviceTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto program = find_virtiofsd(search_path());
    if (!program) GTEST_SKIP() << program.error().describe();
  }
};

TEST_F(FsDeviceTest, ServesADirectoryReadOnly) { EXPECT_EQ(use(TreeAccess::kReadOnly), ""); }

TEST_F(FsDeviceTest, ServesADirectoryToBeWritten) { EXPECT_EQ(use(TreeAccess::kWritable), ""); }

TEST_F(FsDeviceTest, ServesAsAUserWithoutRights) {
  if (::geteuid() != 0) GTEST_SKIP() << "the other tests are of such a user";
  for (const TreeAccess access : {TreeAccess::kReadOnly, TreeAccess::kWritable}) {
    const pid_t child = ::fork();
    if (child == 0) {
      if (::setresgid(1000, 1000, 1000) != 0 || ::setresuid(1000, 1000, 1000) != 0) ::_exit(77);
      // A change of the user makes /proc of the process root's.
      ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
      const std::string wrong = use(access);
      if (!wrong.empty()) fmt::print(stderr, "{}\n", wrong);
      ::_exit(wrong.find("user namespace") != std::string::npos ? 77 : wrong.empty() ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no user namespaces here";
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
}

TEST_F(FsDeviceTest, StartsAgainAfterAReset) {
  Served served(TreeAccess::kReadOnly);
  ASSERT_EQ(served.error, "");
  for (int i = 0; i < 3; ++i) {
    served.guest.make_rings();
    ASSERT_TRUE(served.device->start(served.device->offered(), served.guest.setups()));
    EXPECT_EQ(served.init(), 0);
    served.device->reset();
  }
  EXPECT_TRUE(served.told.empty());
}

TEST_F(FsDeviceTest, ConfigurationHasTagAndQueues) {
  Served served(TreeAccess::kReadOnly);
  ASSERT_EQ(served.error, "");
  std::array<std::uint8_t, 48> config{};
  config.fill(0xff);
  served.device->read_config(0, config);
  EXPECT_STREQ(reinterpret_cast<const char*>(config.data()), "share0");
  EXPECT_EQ(config[36], 1);
  EXPECT_EQ(config[37] | config[40] | config[47], 0);
  served.device->read_config(36, MutableBytes(config).first(4));
  EXPECT_EQ(config[0], 1);
  EXPECT_EQ(served.device->id(), 26U);
  EXPECT_TRUE(served.device->status_always_used());
}

TEST_F(FsDeviceTest, AQueueOutsideOfTheMemoryDoesNotStart) {
  Served served(TreeAccess::kReadOnly);
  ASSERT_EQ(served.error, "");
  auto setups = served.guest.setups();
  setups[1].device = kGuestBase + 2 * kQueueBytes - 1;
  EXPECT_FALSE(served.device->start(served.device->offered(), setups));
  EXPECT_EQ(served.interrupt.reset_count, 1);
}

TEST_F(FsDeviceTest, NamesLeadNowhereOutside) {
  for (const TreeAccess access : {TreeAccess::kReadOnly, TreeAccess::kWritable}) {
    Served served(access);
    ASSERT_EQ(served.error, "");
    ASSERT_TRUE(served.device->start(served.device->offered(), served.guest.setups()));
    ASSERT_EQ(served.init(), 0);
    for (const std::string_view name : {"../etc", "/etc", "/", "a/../../etc", "../../etc/passwd"}) {
      EXPECT_LT(served.look_up(name), 0) << name;
    }
    for (const std::string& name : served.names_outside())
      EXPECT_LT(served.remove(name), 0) << name;
    EXPECT_TRUE(served.is_there_outside());
    // What is there is the link, which the guest's kernel follows in the guest.
    const bool writable = access == TreeAccess::kWritable;
    EXPECT_EQ(served.make_link("/etc"), writable ? 0 : -EROFS);
    EXPECT_LT(served.look_up("made/passwd"), 0);
    served.device->reset();
  }
}

TEST_F(FsDeviceTest, RequestsOfNonsenseAreAnsweredOrTheEndOfItIsTold) {
  Served served(TreeAccess::kReadOnly);
  ASSERT_EQ(served.error, "");
  ASSERT_TRUE(served.device->start(served.device->offered(), served.guest.setups()));
  ASSERT_EQ(served.init(), 0);
  std::array<std::uint8_t, 300> much{};
  much.fill(0xff);
  // Operations with arguments that are none, too short, for a node that is not there; none such.
  for (std::uint32_t operation = 1; operation < 60; ++operation) {
    if (operation == FUSE_DESTROY) continue;
    for (const std::size_t size : {std::size_t{0}, std::size_t{3}, much.size()}) {
      if (!served.is_dead()) (void)served.ask(operation, 77, ByteView(much).first(size), 5);
    }
  }
  served.device->reset();
  if (served.is_dead()) return;
  served.guest.make_rings();
  ASSERT_TRUE(served.device->start(served.device->offered(), served.guest.setups()));
  EXPECT_TRUE(served.init() == 0 || served.is_dead());
  EXPECT_TRUE(served.look_up("file") == 0 || served.is_dead());
}

TEST_F(FsDeviceTest, ItsDeathIsTold) {
  Served served(TreeAccess::kReadOnly);
  ASSERT_EQ(served.error, "");
  ASSERT_TRUE(served.device->start(served.device->offered(), served.guest.setups()));
  served.kill_server();
  for (int i = 0; i < 300 && served.told.empty(); ++i) {
    served.thread->turn(Instant{});
    ::usleep(100'000);
  }
  ASSERT_EQ(served.told.size(), 1U);
  EXPECT_NE(served.told[0].find("virtiofsd"), std::string::npos);
  EXPECT_EQ(served.interrupt.reset_count, 1);
  EXPECT_FALSE(served.device->start(served.device->offered(), served.guest.setups()));
  served.device->reset();
}

}  // namespace
}  // namespace sluice::box::test
