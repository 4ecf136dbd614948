#include "forward/listen/inherited_sockets.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mman.h>

#include <cstdlib>

#include "forward/listen/listener_open.h"
#include "forward/listen/upgrade.h"
#include "sys/sockaddr.h"
#include "sys/socket_options.h"
#include "unit/forward/sockets.h"
#include "unit/sys/loopback.h"

namespace sluice::forward {
namespace {

using policy::Protocol;

// The number of a listening socket that outlives this, and survives exec().
int listening(const Rule& rule) {
  const auto specs = listener_keys(rule, 0).value();
  auto opened = open_inet_listener(sys::real_kernel(), specs.front(), {}, Sharing::kFirst);
  return ::fcntl(opened->socket.get(), F_DUPFD, 0);
}

// systemd counts from descriptor 3, which in a test is taken: so in a child.
int with_activation(const std::vector<int>& sockets, const char* names,
                    const std::function<int()>& body) {
  return sys::in_child([&] {
    std::vector<int> copies;
    for (const int fd : sockets) copies.push_back(::fcntl(fd, F_DUPFD, 100));
    int to = 3;
    for (const int fd : copies) ::dup2(fd, to++);
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    ::setenv("LISTEN_FDS", std::to_string(sockets.size()).c_str(), 1);
    ::setenv("LISTEN_FDNAMES", names, 1);
    return body();
  });
}

TEST(InheritedSockets, NothingWithoutEnvironment) {
  auto inherited = InheritedSockets::take(sys::real_kernel()).value();
  EXPECT_FALSE(inherited.is_upgrade());
  EXPECT_TRUE(inherited.activated().empty());
  EXPECT_TRUE(inherited.find("0").empty());
}

TEST(InheritedSockets, SystemdsAreFoundByNameAndNumber) {
  const std::vector<int> sockets = {listening(rule_at("127.0.0.1", 0)),
                                    listening(rule_at("127.0.0.1", 0, Protocol::kUdp)),
                                    listening(rule_at("127.0.0.1", 0))};
  const int status = with_activation(sockets, "web:dns:web", [] {
    const auto inherited = InheritedSockets::take(sys::real_kernel());
    if (!inherited || inherited->activated().size() != 3) return 1;
    if (inherited->find("web") != std::vector<std::size_t>{0, 2}) return 2;
    if (inherited->find("1") != std::vector<std::size_t>{1}) return 3;
    if (!inherited->find("other").empty() || !inherited->find("3").empty()) return 4;
    if (std::getenv("LISTEN_FDS") != nullptr) return 5;
    const sys::KernelFd& web = inherited->activated()[0].socket;
    if ((::fcntl(web.get(), F_GETFD) & FD_CLOEXEC) == 0) return 6;
    if (!is_listener(web, activated_spec(rule_at("", 0), 0, 0))) return 7;
    if (is_listener(web, activated_spec(rule_at("", 0, Protocol::kUdp), 0, 0))) return 8;
    return 0;
  });
  EXPECT_EQ(WEXITSTATUS(status), 0);
  for (const int fd : sockets) ::close(fd);
}

// The environment variable of a hand-over to this process.
std::string variable_for(pid_t pid, const std::string& description, int& ready_read) {
  const int file = ::memfd_create("test", 0);
  EXPECT_EQ(::write(file, description.data(), description.size()),
            static_cast<ssize_t>(description.size()));
  int ready[2];
  EXPECT_EQ(::pipe(ready), 0);
  ready_read = ready[0];
  return std::to_string(pid) + " " + std::to_string(file) + " " + std::to_string(ready[1]);
}

TEST(InheritedSockets, AKeyThatLiesAboutItsSocketIsNotTaken) {
  const Rule real = rule_at("127.0.0.1", 0);
  const int fd = listening(real);
  const int datagrams = listening(rule_at("127.0.0.1", 0, Protocol::kUdp));
  const sys::KernelFd look(sys::real_kernel(), ::fcntl(fd, F_DUPFD, 0));
  Rule claimed = rule_at("127.0.0.1", 1);  // Another port than that of the socket.
  const ListenerKey lie = listener_keys(claimed, 0).value().front();
  const ListenerKey truth = listener_keys(real, 0).value().front();
  EXPECT_FALSE(is_listener(look, lie));
  const std::vector<PassedSocket> sockets = {{PassedKind::kListener, fd, lie.key},
                                             {PassedKind::kListener, datagrams, truth.key},
                                             {PassedKind::kListener, 987, truth.key},
                                             {PassedKind::kListener, STDIN_FILENO, truth.key}};
  int ready = -1;
  ::setenv(kUpgradeVariable, variable_for(::getpid(), describe_sockets(sockets), ready).c_str(), 1);
  auto inherited = InheritedSockets::take(sys::real_kernel()).value();
  EXPECT_TRUE(inherited.is_upgrade());
  EXPECT_TRUE(inherited.take_over(lie).empty());
  EXPECT_TRUE(inherited.take_over(truth).empty());
  ::close(ready);
}

// One address of two interfaces is two places.
TEST(InheritedSockets, ALinkLocalAddressIsThatOfItsInterface) {
  Rule rule = rule_at("fe80::1%lo", 8080);
  rule.listen.scope_id = 1;
  ListenerKey spec = listener_keys(rule, 0).value().front();
  EXPECT_EQ(spec.scope_id, 1u);
  EXPECT_EQ(place_text(spec), "[fe80::1%lo]:8080");
  EXPECT_EQ(spec.key.find("tcp:[fe80::1]:8080%1"), 0u) << spec.key;

  const sys::KernelFd socket(sys::real_kernel(), ::socket(AF_INET6, SOCK_STREAM, 0));
  const int on = 1;
  ASSERT_EQ(::setsockopt(socket.get(), IPPROTO_IP, IP_FREEBIND, &on, sizeof on), 0);
  const sys::SocketAddress name = sys::to_sockaddr({spec.endpoint.address, wire::Port{0}}, 1);
  ASSERT_EQ(::bind(socket.get(), name.get(), name.length), 0);
  ASSERT_EQ(::listen(socket.get(), 1), 0);
  spec.endpoint.port = sys::local_endpoint_of(socket)->port;
  EXPECT_TRUE(is_listener(socket, spec));
  spec.scope_id = 2;
  EXPECT_FALSE(is_listener(socket, spec));
}

TEST(InheritedSockets, AVariableOfAnotherProcessIsIgnored) {
  ::setenv(kUpgradeVariable, (std::to_string(::getpid() + 1) + " 0 1").c_str(), 1);
  EXPECT_FALSE(InheritedSockets::take(sys::real_kernel()).value().is_upgrade());
  EXPECT_EQ(std::getenv(kUpgradeVariable), nullptr);
}

TEST(InheritedSockets, ADamagedHandOverIsAnError) {
  ::setenv(kUpgradeVariable, "nonsense", 1);
  EXPECT_FALSE(InheritedSockets::take(sys::real_kernel()).has_value());
  int ready = -1;
  ::setenv(kUpgradeVariable, variable_for(::getpid(), "listener x key\n", ready).c_str(), 1);
  EXPECT_FALSE(InheritedSockets::take(sys::real_kernel()).has_value());
  ::close(ready);
}

}  // namespace
}  // namespace sluice::forward
