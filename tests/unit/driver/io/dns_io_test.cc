// DnsIo in a worker over a kernel that answers as scripted.
#include "driver/io/dns_io.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "unit/dns/dns_messages.h"
#include "unit/driver/worker_rig.h"

namespace sluice::driver {
namespace {

using dns::test::Bytes;
using flow::test::endpoint;

class DnsIoTest : public ::testing::Test, protected WorkerRig {
 protected:
  void SetUp() override {
    const int fd = ::mkstemp(path_.data());
    ASSERT_GE(fd, 0);
    ::close(fd);
    std::ofstream(path_) << "nameserver 192.0.2.53\n";
    restart();
  }
  void TearDown() override { ::unlink(path_.c_str()); }
  void restart() {
    WorkerOptions options;
    options.resolvers = resolv::ResolverConfig(path_);
    (void)options.resolvers.load();
    start(std::move(options));
  }

  void ask(const Bytes& query) {
    feed({flow::test::udp_frame(network, endpoint("10.0.2.15:40000"),
                                {network.dns_v4, wire::Port{53}}, query)});
  }
  // The question as it went to the resolver, by its answer.
  [[nodiscard]] std::string answer_to(const std::string& asked,
                                      const dns::test::AnswerOptions& options) const {
    const Bytes bytes = dns::test::make_answer({asked.begin(), asked.end()}, options);
    return {bytes.begin(), bytes.end()};
  }
  [[nodiscard]] wire::DnsRcode rcode(std::size_t at) const {
    const flow::test::Received received = frame(at);
    return wire::DnsView::parse(received.udp().payload()).value().header().rcode;
  }

  const wire::Endpoint resolver_ = endpoint("192.0.2.53:53");
  const Bytes query_ = dns::test::make_query("example.org");
  std::string path_ = "/tmp/sluice-dns-io-XXXXXX";
};

TEST_F(DnsIoTest, AQuestionGoesToTheResolverAndItsAnswerToTheGuest) {
  ask(query_);
  ASSERT_EQ(kernel.sent.size(), 1U);
  kernel.script_datagram(resolver_,
                         answer_to(kernel.sent[0], {.records = {{.address = "192.0.2.1"}}}));
  turn({{kernel.last("sendmmsg")->fd, EPOLLIN}});
  ASSERT_EQ(link->written.size(), 1U);
  EXPECT_EQ(rcode(0), wire::DnsRcode::kNoError);
}

TEST_F(DnsIoTest, ATruncatedAnswerIsAskedForAgainOverTcp) {
  ask(query_);
  kernel.script_datagram(resolver_, answer_to(kernel.sent[0], {.truncated = true}));
  turn({{kernel.last("sendmmsg")->fd, EPOLLIN}});
  EXPECT_TRUE(link->written.empty());
  const int stream = kernel.last("connect")->fd;
  ASSERT_TRUE(kernel.watched.contains(stream));
  kernel.sent.clear();
  turn({{stream, EPOLLOUT}});
  ASSERT_EQ(kernel.sent.size(), 1U);
  const std::string answer =
      answer_to(kernel.sent[0].substr(2), {.records = {{.address = "192.0.2.1"}}});
  const std::string length{static_cast<char>(answer.size() >> 8), static_cast<char>(answer.size())};
  // In two pieces, as a stream may have it.
  kernel.script_data(length + answer.substr(0, 5));
  kernel.script_data(answer.substr(5));
  turn({{stream, EPOLLIN}});
  ASSERT_EQ(link->written.size(), 1U);
  EXPECT_EQ(rcode(0), wire::DnsRcode::kNoError);
  EXPECT_EQ(std::ranges::count(kernel.closed, stream), 1);
}

TEST_F(DnsIoTest, AResolverThatCannotBeWatchedFailsTheQuestionAtOnce) {
  for (int i = 0; i < 10; ++i) kernel.script("epoll_ctl", -1, ENOSPC);
  ask(query_);
  ASSERT_EQ(link->written.size(), 1U);
  EXPECT_EQ(rcode(0), wire::DnsRcode::kServFail);
  EXPECT_TRUE(kernel.sent.empty());
}

TEST_F(DnsIoTest, AStreamThatCannotBeWatchedFailsTheQuestionAtOnce) {
  ask(query_);
  kernel.script_datagram(resolver_, answer_to(kernel.sent[0], {.truncated = true}));
  for (int i = 0; i < 10; ++i) kernel.script("epoll_ctl", -1, ENOSPC);
  turn({{kernel.last("sendmmsg")->fd, EPOLLIN}});
  ASSERT_EQ(link->written.size(), 1U);
  EXPECT_EQ(std::ranges::count(kernel.closed, kernel.last("connect")->fd), 1);
}

}  // namespace
}  // namespace sluice::driver
