// The whole forwarder in a process of its own, with real sockets and real signals.
#include "forward/supervisor/supervisor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "telemetry/log.h"
#include "unit/forward/sockets.h"
#include "unit/sys/loopback.h"

namespace sluice::forward {
namespace {

using namespace std::chrono_literals;

constexpr const char* kRulesVariable = "SLUICE_TEST_RULES";

// The rules of a file with lines "LISTEN-PORT TARGET-PORT"; anything else is a mistake.
std::expected<Plan, std::string> load(const std::string& path) {
  Plan plan;
  plan.workers = 2;
  std::ifstream file(path);
  unsigned number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    std::istringstream words(line);
    std::uint16_t listen = 0;
    std::uint16_t target = 0;
    if (!(words >> listen >> target)) {
      return std::unexpected(path + ":" + std::to_string(number) + ": no rule\nand more");
    }
    Rule rule = rule_at("127.0.0.1", listen);
    rule.where = {path, number};
    rule.targets.front().place.port = target;
    plan.rules.push_back(rule);
  }
  return plan;
}

int serve(const std::string& rules, SupervisorOptions options) {
  telemetry::set_log_program("test");
  options.config_file = rules;
  options.reload = [rules] { return load(rules); };
  options.command_line = {std::filesystem::read_symlink("/proc/self/exe"),
                          "--gtest_filter=*SupervisorUpgrade.NewProcess",
                          "--gtest_also_run_disabled_tests"};
  ::setenv(kRulesVariable, rules.c_str(), 1);
  auto plan = load(rules);
  if (!plan) return 2;
  if (const char* pid_file = ::getenv("SLUICE_TEST_PID_FILE")) plan->pid_file = pid_file;
  return run_forwarder(sys::real_kernel(), std::move(*plan), options);
}

// What a test executes for SIGUSR2: this program again, with the same rules.
TEST(DISABLED_SupervisorUpgrade, NewProcess) {
  const char* rules = ::getenv(kRulesVariable);
  if (rules == nullptr) GTEST_SKIP() << "only run by the tests below";
  ::_exit(serve(rules, {}));
}

// A listening socket of the test's: a target, whose connections it accepts itself.
class TestTarget {
 public:
  TestTarget() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sys::SocketAddress any = sys::to_sockaddr({sys::ip("127.0.0.1"), wire::Port{0}});
    EXPECT_EQ(::bind(fd_.get(), any.get(), any.length), 0);
    EXPECT_EQ(::listen(fd_.get(), 1024), 0);
  }
  [[nodiscard]] std::uint16_t port() const {
    sys::SocketAddress name;
    EXPECT_EQ(::getsockname(fd_.get(), name.get(), &name.length), 0);
    return sys::from_sockaddr(name.storage, name.length)->port.value;
  }
  [[nodiscard]] UniqueFd accept() const {
    if (!sys::wait_for(fd_.get(), POLLIN, 5000)) return UniqueFd();
    return UniqueFd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }

 private:
  UniqueFd fd_;
};

// A port that was free an instant ago.
std::uint16_t free_port() { return TestTarget().port(); }

bool carries(const UniqueFd& from, const UniqueFd& to, const std::string& text) {
  if (::send(from.get(), text.data(), text.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(text.size())) {
    return false;
  }
  std::string got(text.size(), '\0');
  std::size_t done = 0;
  while (done < got.size() && sys::wait_for(to.get(), POLLIN, 5000)) {
    const ssize_t count = ::recv(to.get(), got.data() + done, got.size() - done, 0);
    if (count <= 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done == got.size() && got == text;
}

class SupervisorTest : public ::testing::Test {
 protected:
  struct Session {
    UniqueFd client;
    UniqueFd target;
    [[nodiscard]] bool works() const {
      return client.valid() && target.valid() && carries(client, target, "ping") &&
             carries(target, client, "pong");
    }
  };

  void put_ports(const std::vector<std::uint16_t>& ports) {
    std::string text;
    for (const std::uint16_t port : ports) {
      text += std::to_string(port) + " " + std::to_string(target_.port()) + "\n";
    }
    put(text);
  }
  // As editors do it: another file, renamed over the old one.
  void put(const std::string& text) {
    std::ofstream(rules_ + ".new") << text;
    std::filesystem::rename(rules_ + ".new", rules_);
  }

  void start(const SupervisorOptions& options = {}) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(ends[1], STDERR_FILENO);
      ::dup2(ends[1], STDOUT_FILENO);
      ::_exit(serve(rules_, options));
    }
    ::close(ends[1]);
    output_ = UniqueFd(ends[0]);
  }
  void TearDown() override {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }
  // Reads what is printed until the text comes; what came before it is in said_, too.
  [[nodiscard]] bool says(const std::string& text) {
    const auto end = std::chrono::steady_clock::now() + 15s;
    while (std::chrono::steady_clock::now() < end) {
      if (const auto at = said_.find(text); at != std::string::npos) {
        said_.erase(0, at + text.size());
        return true;
      }
      char block[4096];
      if (!sys::wait_for(output_.get(), POLLIN, 100)) continue;
      const ssize_t got = ::read(output_.get(), block, sizeof block);
      if (got <= 0) break;
      said_.append(block, static_cast<std::size_t>(got));
    }
    ADD_FAILURE() << "not said: " << text << "\nbut: " << said_;
    return false;
  }
  [[nodiscard]] int exit_status() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  [[nodiscard]] Session open(std::uint16_t port) const {
    Session session{connect_to("127.0.0.1", port), {}};
    if (session.client.valid()) session.target = target_.accept();
    return session;
  }

  TestFolder folder_;
  std::string rules_ = folder_ / "rules.conf";
  TestTarget target_;
  pid_t pid_ = -1;
  UniqueFd output_;
  std::string said_;
};

TEST_F(SupervisorTest, DrainsOnTermAndEndsWithTheLastSession) {
  const std::uint16_t port = free_port();
  put_ports({port});
  start();
  ASSERT_TRUE(says("forwarding: 1 rule, 1 listener, 2 workers\n"));
  Session session = open(port);
  ASSERT_TRUE(session.works());
  ::kill(pid_, SIGTERM);
  ASSERT_TRUE(says("draining: 1 session left, "));
  EXPECT_FALSE(connect_to("127.0.0.1", port).valid());
  EXPECT_TRUE(session.works());
  session.client.reset();
  session.target.reset();
  EXPECT_EQ(exit_status(), 0);
}

TEST_F(SupervisorTest, ASecondSignalCutsWhatIsLeft) {
  const std::uint16_t port = free_port();
  put_ports({port});
  start();
  ASSERT_TRUE(says("forwarding: "));
  const Session session = open(port);
  ASSERT_TRUE(session.works());
  ::kill(pid_, SIGINT);
  ASSERT_TRUE(says("draining: "));
  ::kill(pid_, SIGTERM);
  EXPECT_EQ(exit_status(), 0);
}

TEST_F(SupervisorTest, ReloadKeepsSessionsAndRefusesMistakes) {
  const std::uint16_t first = free_port();
  const std::uint16_t second = free_port();
  put_ports({first});
  start();
  ASSERT_TRUE(says("forwarding: "));
  const Session old = open(first);
  ASSERT_TRUE(old.works());

  put_ports({first, second});  // The watch tells.
  ASSERT_TRUE(says("reloaded: 2 rules, 1 new listener, 0 closed\n"));
  EXPECT_TRUE(open(second).works());
  EXPECT_TRUE(old.works());

  put("nonsense\n");
  ASSERT_TRUE(says("error: " + rules_ + ":1: no rule\n"));
  ASSERT_TRUE(says("error: and more\n"));
  ASSERT_TRUE(says("reload refused: the old rules go on\n"));
  EXPECT_TRUE(open(second).works());

  put_ports({first, target_.port()});  // A port that somebody else has.
  ASSERT_TRUE(says(rules_ + ":2: cannot listen on 127.0.0.1:"));
  ASSERT_TRUE(says("Address already in use"));
  ASSERT_TRUE(says("reload refused"));
  EXPECT_TRUE(open(second).works());

  put_ports({second});
  ASSERT_TRUE(says("reloaded: 1 rule, 0 new listeners, 1 closed\n"));
  EXPECT_TRUE(old.works());
  ::kill(pid_, SIGHUP);
  ASSERT_TRUE(says("reloaded: 1 rule, 0 new listeners, 0 closed\n"));
  EXPECT_FALSE(connect_to("127.0.0.1", first).valid());
  EXPECT_TRUE(old.works());
}

TEST_F(SupervisorTest, CountersOnUser1SurviveAReload) {
  const std::uint16_t port = free_port();
  put_ports({port});
  start();
  ASSERT_TRUE(says("forwarding: "));
  const Session session = open(port);
  ASSERT_TRUE(session.works());
  for (int round = 0; round < 2; ++round) {
    ::kill(pid_, SIGUSR1);
    ASSERT_TRUE(says("1 session, 1 rule, 1 listener, 2 workers\nrule "));
    ASSERT_TRUE(says("       1         1        0       0        0        4 B        4 B\n"));
    ASSERT_TRUE(says("  up, 1 active\n"));
    ::kill(pid_, SIGHUP);
    ASSERT_TRUE(says("reloaded: "));
  }
}

TEST_F(SupervisorTest, UpgradeLosesNeitherSessionsNorConnections) {
  const std::uint16_t port = free_port();
  put_ports({port});
  start();
  ASSERT_TRUE(says("forwarding: "));
  Session old = open(port);
  ASSERT_TRUE(old.works());
  ::kill(pid_, SIGUSR2);
  ASSERT_TRUE(says("upgrade: process "));
  const pid_t next = static_cast<pid_t>(std::strtol(said_.c_str(), nullptr, 10));
  ASSERT_GT(next, 0);
  // Without a pause in which nobody listens.
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(open(port).works()) << i;
  ASSERT_TRUE(says("this one ends with its last session\n"));
  EXPECT_TRUE(old.works());
  old.client.reset();
  old.target.reset();
  EXPECT_EQ(exit_status(), 0);
  EXPECT_TRUE(open(port).works()) << "by the new process";
  ::kill(next, SIGTERM);
  char rest[256];
  while (::read(output_.get(), rest, sizeof rest) > 0) {
  }
  EXPECT_FALSE(connect_to("127.0.0.1", port).valid());
}

TEST_F(SupervisorTest, AnUpgradeThatFailsChangesNothing) {
  const std::uint16_t port = free_port();
  put_ports({port});
  start();
  ASSERT_TRUE(says("forwarding: "));
  const Session old = open(port);
  // With the watch on, a reload would be refused too; the new process cannot load it at all.
  put("nonsense\n");
  ASSERT_TRUE(says("reload refused"));
  ::kill(pid_, SIGUSR2);
  ASSERT_TRUE(says("upgrade: it ended with status 2 before it was ready; this process goes on\n"));
  EXPECT_TRUE(old.works());
  EXPECT_TRUE(open(port).works());
}

TEST_F(SupervisorTest, NothingStartsWithABadListenerUnlessItMayBeSkipped) {
  const std::uint16_t port = free_port();
  put_ports({port, target_.port()});
  start();
  ASSERT_TRUE(says("error: " + rules_ + ":2: cannot listen on "));
  EXPECT_EQ(exit_status(), 1);

  start({.reload = nullptr, .config_file = "", .skip_bad_listeners = true, .command_line = {}});
  ASSERT_TRUE(says(":2: cannot listen on "));
  ASSERT_TRUE(says("forwarding: 2 rules, 1 listener, "));
  EXPECT_TRUE(open(port).works());
}

TEST_F(SupervisorTest, OiSaysItsWords) {
  const std::uint16_t port = free_port();
  put_ports({port});
  start(
      {.reload = nullptr, .config_file = "", .output_style = OutputStyle::kOi, .command_line = {}});
  ASSERT_TRUE(says(
      "Loaded 1 forwarding rules\nStarting TCP forwarding from 127.0.0.1:" + std::to_string(port) +
      " to 127.0.0.1:" + std::to_string(target_.port()) + "\n"));
  ::kill(pid_, SIGINT);
  ASSERT_TRUE(
      says("Received Ctrl+C, shutting down...\nShutting down...\n"
           "Server shut down successfully\n"));
  EXPECT_EQ(exit_status(), 0);
}

TEST_F(SupervisorTest, DetachesOnceItListensAndKeepsItsPidFile) {
  const std::uint16_t port = free_port();
  const std::string pid_file = folder_ / "pid";
  put_ports({port});
  ::setenv("SLUICE_TEST_PID_FILE", pid_file.c_str(), 1);
  start({.reload = nullptr, .config_file = "", .daemonise = true, .command_line = {}});
  ::unsetenv("SLUICE_TEST_PID_FILE");
  EXPECT_EQ(exit_status(), 0);
  pid_t daemon = 0;
  std::ifstream(pid_file) >> daemon;
  ASSERT_GT(daemon, 0);
  EXPECT_TRUE(open(port).works()) << "at once: the parent ended after it listened";
  ::kill(daemon, SIGTERM);
  for (int i = 0; i < 100 && std::filesystem::exists(pid_file); ++i) ::usleep(50'000);
  EXPECT_FALSE(std::filesystem::exists(pid_file));

  put_ports({target_.port()});
  start({.reload = nullptr, .config_file = "", .daemonise = true, .command_line = {}});
  ASSERT_TRUE(says("cannot listen on "));
  EXPECT_EQ(exit_status(), 1);
}

}  // namespace
}  // namespace sluice::forward
