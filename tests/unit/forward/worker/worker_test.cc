// A worker in a thread of its own, with real sockets on the loopback.
#include "forward/worker/worker.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "unit/forward/loopback.h"

namespace sluice::forward {
namespace {

using namespace std::chrono_literals;
using namespace testing;

Target target_at(std::uint16_t port) {
  Target target;
  target.place.host = "127.0.0.1";
  target.place.port = port;
  return target;
}

Rule rule_to(std::initializer_list<std::uint16_t> ports) {
  Rule rule;
  rule.name = "test";
  rule.listen.host = "127.0.0.1";
  for (const std::uint16_t port : ports) rule.targets.push_back(target_at(port));
  rule.timeouts.connect = 300ms;
  return rule;
}

wire::IpAddress ip(std::string_view text) { return wire::parse_ip(text).value(); }

std::shared_ptr<LiveRule> live(Rule rule, policy::AccessList global = {}) {
  return std::make_shared<LiveRule>(std::move(rule), global, std::make_shared<RuleCounters>());
}

std::size_t open_descriptors() {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

template <typename Condition>
bool eventually(Condition&& condition) {
  for (int i = 0; i < 500; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

class RunningWorker {
 public:
  explicit RunningWorker(sys::Kernel& kernel = sys::real_kernel()) {
    auto created = Worker::create(kernel, {});
    EXPECT_TRUE(created);
    worker_ = std::move(*created);
  }
  ~RunningWorker() {
    worker_->stop();
    if (thread_.joinable()) thread_.join();
  }
  void start() {
    thread_ = std::thread([this] { worker_->run(); });
  }
  void join() { thread_.join(); }

  // Takes over a copy of a listening socket.
  void serve(std::uint64_t id, std::shared_ptr<LiveRule> rule, const UniqueFd& listener) {
    WorkerListener served{.id = id,
                          .rule = std::move(rule),
                          .port = port_of(listener.get()),
                          .socket = sys::KernelFd(sys::real_kernel(), dup(listener.get()))};
    fcntl(served.socket.get(), F_SETFL, O_NONBLOCK);
    std::vector<WorkerListener> all;
    all.push_back(std::move(served));
    worker_->apply(std::move(all), nullptr);
    ++asked_;
  }
  void wait_until_answered() {
    EXPECT_TRUE(eventually([&] { return worker_->answered() >= asked_; }));
  }
  Worker& operator*() { return *worker_; }
  Worker* operator->() { return worker_.get(); }

 private:
  std::unique_ptr<Worker> worker_;
  std::thread thread_;
  std::uint64_t asked_ = 0;
};

class WorkerTest : public ::testing::Test {
 protected:
  void serve(const std::shared_ptr<LiveRule>& rule) {
    worker_.serve(1, rule, front_);
    worker_.start();
  }
  // To a target that nobody is in a hurry to reach.
  std::shared_ptr<LiveRule> serve_patiently(std::uint16_t target) {
    Rule plan = rule_to({target});
    plan.timeouts.connect = 60s;
    auto rule = live(plan);
    serve(rule);
    return rule;
  }
  UniqueFd client() { return connect_to(port_of(front_.get())); }

  UniqueFd front_ = listening_socket();
  UniqueFd back_ = listening_socket();
  std::uint16_t back_port_ = port_of(back_.get());
  RunningWorker worker_;
};

TEST_F(WorkerTest, RelaysBothWaysAndCounts) {
  const auto rule = live(rule_to({back_port_}));
  serve(rule);
  {
    const UniqueFd near = client();
    const UniqueFd far = accept_from(back_);
    send_text(near, "question");
    EXPECT_EQ(receive_text(far, 8), "question");
    send_text(far, "an answer");
    EXPECT_EQ(receive_text(near, 9), "an answer");
    EXPECT_EQ(rule->counters->active.load(), 1u);
  }
  EXPECT_TRUE(eventually([&] { return rule->counters->active.load() == 0; }));
  EXPECT_EQ(rule->counters->accepted.load(), 1u);
  EXPECT_EQ(rule->counters->bytes_to_target.load(), 8u);
  EXPECT_EQ(rule->counters->bytes_to_client.load(), 9u);
  EXPECT_EQ(rule->targets.active(0), 0u);
}

TEST_F(WorkerTest, ListsItsSessionsInPagesAndKillsOne) {
  const auto rule = live(rule_to({back_port_}));
  serve(rule);
  std::vector<UniqueFd> near;
  std::vector<UniqueFd> far;
  for (int i = 0; i < 3; ++i) {
    near.push_back(client());
    far.push_back(accept_from(back_));
  }
  EXPECT_TRUE(eventually([&] { return rule->counters->active.load() == 3; }));
  const auto first = worker_->list(0, 2)->await(5s);
  ASSERT_TRUE(first && first->next);
  EXPECT_EQ(first->sessions.size(), 2U);
  const auto second = worker_->list(*first->next, 2)->await(5s);
  ASSERT_TRUE(second);
  ASSERT_EQ(second->sessions.size(), 1U);
  EXPECT_FALSE(second->next);
  const SessionRecord& last = second->sessions[0];
  EXPECT_EQ(last.rule.get(), rule.get());
  EXPECT_EQ(worker_->kill(last.number)->await(5s), true);
  EXPECT_EQ(worker_->kill(last.number)->await(5s), false);
  EXPECT_EQ(worker_->list(0, 9)->await(5s)->sessions.size(), 2U);
  std::size_t reset = 0;
  for (std::size_t i = 0; i < near.size(); ++i) {
    if (port_of(near[i].get()) == last.client.port.value) {
      ++reset;
      EXPECT_EQ(end_of(near[i]), ECONNRESET);
      EXPECT_EQ(end_of(far[i]), ECONNRESET);
    } else {
      send_text(near[i], "x");
      EXPECT_EQ(receive_text(far[i], 1), "x");
    }
  }
  EXPECT_EQ(reset, 1U);
  EXPECT_EQ(worker_->answered(), 1U);  // Requests of the supervisor's own only.
}

TEST_F(WorkerTest, TellsOfSessionsWhileSomebodyListens) {
  const auto rule = live(rule_to({back_port_}));
  serve(rule);
  const auto meet = [&] {
    UniqueFd near = client();
    const UniqueFd far = accept_from(back_);
    send_text(near, "question");
    EXPECT_EQ(receive_text(far, 8), "question");
    near.reset();
    EXPECT_EQ(end_of(far), 0);  // The client's end comes first.
  };
  meet();
  EXPECT_TRUE(eventually([&] { return rule->counters->active.load() == 0; }));
  EXPECT_TRUE(worker_->outbox().take().records.empty());
  worker_->outbox().want(true);
  meet();
  std::vector<SessionRecord> told;
  EXPECT_TRUE(eventually([&] {
    for (SessionRecord& one : worker_->outbox().take().records) told.push_back(std::move(one));
    return told.size() == 2;
  }));
  EXPECT_EQ(told.at(0).result, SessionResult::kOpened);
  EXPECT_EQ(told.at(1).result, SessionResult::kClientClosed);
  EXPECT_EQ(told.at(1).bytes.to_target, 8U);
  EXPECT_EQ(told.at(0).number, told.at(1).number);
}

TEST_F(WorkerTest, AHalfClosedClientStillGetsItsAnswer) {
  serve(live(rule_to({back_port_})));
  const UniqueFd near = client();
  const UniqueFd far = accept_from(back_);
  shutdown(near.get(), SHUT_WR);
  EXPECT_EQ(end_of(far), 0);
  send_text(far, "late");
  EXPECT_EQ(receive_text(near, 4), "late");
}

TEST_F(WorkerTest, ARefusedTargetResetsTheClient) {
  const auto rule = live(rule_to({free_port()}));
  serve(rule);
  EXPECT_EQ(end_of(client()), ECONNRESET);
  EXPECT_TRUE(eventually([&] { return rule->counters->connect_failed.load() == 1; }));
  EXPECT_EQ(rule->targets.active(0), 0u);
  EXPECT_EQ(rule->counters->active.load(), 0u);
}

TEST_F(WorkerTest, FailsOverToATargetThatAnswers) {
  serve(live(rule_to({free_port(), back_port_})));
  for (int i = 0; i < 4; ++i) {
    const UniqueFd near = client();
    const UniqueFd far = accept_from(back_);
    send_text(far, "x");
    EXPECT_EQ(receive_text(near, 1), "x");
  }
}

TEST_F(WorkerTest, AnAnswerBeforeAResetArrivesWhenTheTargetWasQuick) {
  const auto rule = live(rule_to({back_port_}));
  serve(rule);
  std::thread target([this] {
    for (int i = 0; i < 200; ++i) {
      UniqueFd far = accept_from(back_);
      send_text(far, "too busy");
      reset(far);
    }
  });
  int whole = 0;
  for (int i = 0; i < 200; ++i) {
    const UniqueFd near = client();
    if (receive_text(near, 8) == "too busy" && end_of(near) == ECONNRESET) ++whole;
  }
  target.join();
  EXPECT_EQ(whole, 200);
  EXPECT_EQ(rule->counters->connect_failed.load(), 0u);
}

TEST_F(WorkerTest, ASilentTargetTimesOut) {
  // Its queue is full: further SYNs are not answered.
  const UniqueFd silent = listening_socket(0, 0);
  const UniqueFd filler = connect_to(port_of(silent.get()));
  const auto rule = live(rule_to({port_of(silent.get()), back_port_}));
  serve(rule);
  const UniqueFd near = client();
  const UniqueFd far = accept_from(back_);
  send_text(near, "x");
  EXPECT_EQ(receive_text(far, 1), "x");
}

// The time limit of a test's sockets is half of what one address may take.
TEST_F(WorkerTest, AddressesOfOneNameAreTriedSideBySide) {
  const SilentPort port;
  const UniqueFd far_listener = port.listen_at(9);
  Rule plan = rule_to({port.port()});
  plan.targets[0].place.host = "db.test";
  plan.timeouts.connect = 10s;
  const auto rule = live(plan);
  rule->targets.set_addresses(0, {ip("127.0.0.2"), ip("127.0.0.3"), ip("127.0.0.9")});
  serve(rule);
  const std::size_t before = open_descriptors();
  {
    const UniqueFd near = client();
    const UniqueFd far = accept_from(far_listener);
    send_text(near, "question");
    EXPECT_EQ(receive_text(far, 8), "question");
    send_text(far, "an answer");
    EXPECT_EQ(receive_text(near, 9), "an answer");
    EXPECT_EQ(rule->targets.active(0), 1u);
    // Two sockets each: of the test's and of the worker's. Those that lost are closed.
    EXPECT_TRUE(eventually([&] { return open_descriptors() == before + 4; }));
  }
  EXPECT_TRUE(eventually([&] { return rule->counters->active.load() == 0; }));
  EXPECT_EQ(rule->counters->connect_failed.load(), 0u);
  EXPECT_EQ(rule->targets.active(0), 0u);
}

TEST_F(WorkerTest, SideBySideTheTimeoutIsForAllAddressesTogether) {
  const SilentPort port;
  Rule plan = rule_to({port.port()});
  plan.targets[0].place.host = "db.test";
  plan.timeouts.connect = 800ms;
  const auto rule = live(plan);
  std::vector<wire::IpAddress> silent;
  for (int i = 2; i < 12; ++i) silent.push_back(ip("127.0.0." + std::to_string(i)));
  rule->targets.set_addresses(0, silent);
  serve(rule);
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(end_of(client()), ECONNRESET);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 4s);  // One by one it takes 8.
  EXPECT_TRUE(eventually([&] { return rule->counters->connect_failed.load() == 1; }));
  EXPECT_EQ(rule->targets.active(0), 0u);
}

TEST_F(WorkerTest, AConnectThatIsCutShortLeavesItsTarget) {
  const SilentPort silent;
  const auto rule = serve_patiently(silent.port());
  const UniqueFd near = client();
  ASSERT_TRUE(eventually([&] { return rule->targets.active(0) == 1; }));
  worker_->stop();
  worker_.join();
  EXPECT_EQ(rule->targets.active(0), 0u);
  EXPECT_EQ(rule->counters->active.load(), 0u);
}

// RST, and bytes before it are for the target.
TEST_F(WorkerTest, AClientThatResetsWhileItsTargetIsSilentIsForgotten) {
  const SilentPort silent;
  const auto rule = serve_patiently(silent.port());
  UniqueFd mute = client();
  UniqueFd speaker = client();
  send_text(speaker, "last words");
  ASSERT_TRUE(eventually([&] { return rule->targets.active(0) == 2; }));
  reset(mute);
  reset(speaker);
  EXPECT_TRUE(eventually([&] { return rule->targets.active(0) == 1; }));
  EXPECT_EQ(rule->counters->active.load(), 1u);
}

TEST_F(WorkerTest, ADeniedClientIsResetAndTheTargetHearsNothing) {
  policy::AccessList access;
  access.deny.push_back(policy::AddressPattern::parse("127.0.0.*").value());
  const auto rule = live(rule_to({back_port_}), access);
  serve(rule);
  const UniqueFd near = client();
  EXPECT_EQ(end_of(near), ECONNRESET);
  EXPECT_EQ(rule->counters->not_allowed.load(), 1u);
  fcntl(back_.get(), F_SETFL, O_NONBLOCK);
  EXPECT_EQ(accept(back_.get(), nullptr, nullptr), -1);
}

TEST_F(WorkerTest, AProxyHeaderIsReadPassedOnAndWhatFollowsIsKept) {
  Rule plan = rule_to({back_port_});
  plan.proxy_in = ProxyIn::kRequired;
  plan.proxy_out = ProxyOut::kV1;
  serve(live(plan));
  const UniqueFd near = client();
  send_text(near, "PROXY TCP4 192.0.2.7 19");
  std::this_thread::sleep_for(20ms);
  send_text(near, "2.0.2.1 5000 80\r\nhello");
  const UniqueFd far = accept_from(back_);
  const std::string expected = "PROXY TCP4 192.0.2.7 192.0.2.1 5000 80\r\nhello";
  EXPECT_EQ(receive_text(far, expected.size()), expected);
  send_text(far, "back");
  EXPECT_EQ(receive_text(near, 4), "back");
}

TEST_F(WorkerTest, AClientThatSpeaksNoProxyProtocolIsReset) {
  Rule plan = rule_to({back_port_});
  plan.proxy_in = ProxyIn::kRequired;
  plan.timeouts.proxy_header = 100ms;
  const auto rule = live(plan);
  serve(rule);
  const UniqueFd near = client();
  send_text(near, "GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(end_of(near), ECONNRESET);
  const UniqueFd silent = client();
  EXPECT_EQ(end_of(silent), ECONNRESET);
  EXPECT_EQ(rule->counters->bad_proxy_header.load(), 2u);
}

TEST_F(WorkerTest, AnIdleSessionEndsAndABusyOneDoesNot) {
  Rule plan = rule_to({back_port_});
  plan.timeouts.idle = 1500ms;
  serve(live(plan));
  const UniqueFd near = client();
  const UniqueFd far = accept_from(back_);
  for (int i = 0; i < 6; ++i) {
    std::this_thread::sleep_for(400ms);
    send_text(near, "x");
    EXPECT_EQ(receive_text(far, 1), "x");
  }
  EXPECT_EQ(end_of(near), ECONNRESET);
}

TEST_F(WorkerTest, AHalfClosedSessionEndsAfterItsOwnTimeout) {
  Rule plan = rule_to({back_port_});
  plan.timeouts.half_closed = 1s;
  serve(live(plan));
  const UniqueFd near = client();
  const UniqueFd far = accept_from(back_);
  std::this_thread::sleep_for(1200ms);
  shutdown(near.get(), SHUT_WR);
  EXPECT_EQ(end_of(far), 0);
  EXPECT_EQ(end_of(near), ECONNRESET);
}

TEST_F(WorkerTest, NewSessionsFollowANewRuleAndOldOnesGoOn) {
  serve(live(rule_to({back_port_})));
  const UniqueFd old_near = client();
  const UniqueFd old_far = accept_from(back_);
  const UniqueFd other = listening_socket();
  worker_.serve(1, live(rule_to({port_of(other.get())})), front_);
  worker_.wait_until_answered();
  const UniqueFd near = client();
  const UniqueFd far = accept_from(other);
  send_text(near, "new");
  EXPECT_EQ(receive_text(far, 3), "new");
  send_text(old_near, "old");
  EXPECT_EQ(receive_text(old_far, 3), "old");
}

TEST_F(WorkerTest, DrainServesWhatWaitsAndLetsSessionsEnd) {
  serve(live(rule_to({back_port_})));
  UniqueFd near = client();
  UniqueFd far = accept_from(back_);
  worker_->drain();
  send_text(near, "still");
  EXPECT_EQ(receive_text(far, 5), "still");
  EXPECT_FALSE(worker_->has_ended());
  near.reset();
  far.reset();
  EXPECT_TRUE(eventually([&] { return worker_->has_ended(); }));
}

TEST_F(WorkerTest, ManySessionsLeaveNoDescriptorBehind) {
  const auto rule = live(rule_to({back_port_}));
  serve(rule);
  {
    const UniqueFd warm = client(), far = accept_from(back_);
  }
  EXPECT_TRUE(eventually([&] { return rule->counters->active.load() == 0; }));
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 500; ++i) {
    const UniqueFd near = client();
    const UniqueFd far = accept_from(back_);
    send_text(near, "x");
    EXPECT_EQ(receive_text(far, 1), "x");
  }
  EXPECT_TRUE(eventually([&] { return rule->counters->active.load() == 0; }));
  EXPECT_EQ(open_descriptors(), before);
}

TEST(Workers, EvenOutAcceptedConnections) {
  const UniqueFd front = listening_socket();
  const UniqueFd back = listening_socket();
  const auto rule = live(rule_to({port_of(back.get())}));
  RunningWorker first, second;
  const std::array peers{&*first, &*second};
  first->set_peers(peers);
  second->set_peers(peers);
  // Only the first listens, as if the kernel's hash had chosen it each time.
  first.serve(1, rule, front);
  first.start();
  second.start();
  std::vector<UniqueFd> ends;
  for (int i = 0; i < 8; ++i) {
    ends.push_back(connect_to(port_of(front.get())));
    ends.push_back(accept_from(back));
  }
  EXPECT_TRUE(eventually([&] { return first->sessions() + second->sessions() == 8; }));
  EXPECT_GE(second->sessions(), 2u);
  for (std::size_t i = 0; i < ends.size(); i += 2) {
    send_text(ends[i], "x");
    EXPECT_EQ(receive_text(ends[i + 1], 1), "x");
  }
}

}  // namespace
}  // namespace sluice::forward
