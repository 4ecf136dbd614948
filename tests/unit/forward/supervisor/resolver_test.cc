#include "forward/supervisor/resolver.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "sys/sockaddr.h"
#include "telemetry/log.h"
#include "unit/dns/dns_messages.h"

namespace sluice::forward {
namespace {

using namespace std::chrono_literals;
using dns::test::AnswerOptions;
using dns::test::Bytes;

constexpr std::uint64_t kTagBase = std::uint64_t{9} << 56;

wire::IpAddress ip(std::string_view text) { return wire::parse_ip(text).value(); }

// A name server on loopback, served in turns with what is tested. Port 0: any.
class NameServer {
 public:
  explicit NameServer(std::string_view at, std::uint16_t port = 0) : at_(at) {
    auto address = sys::to_sockaddr({ip(at), wire::Port{port}});
    EXPECT_EQ(::bind(fd_.get(), address.get(), address.length), 0);
    address.length = sizeof address.storage;
    EXPECT_EQ(::getsockname(fd_.get(), address.get(), &address.length), 0);
    port_ = sys::from_sockaddr(address.storage, address.length)->port.value;
  }

  void serve() {
    Bytes query(4096);
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    while (true) {
      const ssize_t got = ::recvfrom(fd_.get(), query.data(), query.size(), MSG_DONTWAIT,
                                     reinterpret_cast<sockaddr*>(&from), &length);
      if (got <= 0) return;
      const Bytes received(query.begin(), query.begin() + got);
      const auto view = wire::DnsView::parse(received);
      ASSERT_TRUE(view && view->question());
      const std::string name = view->question()->name.to_text();
      if (view->question()->type == wire::DnsType::kA) ++questions[name];
      if (silent) continue;
      const Bytes answer = dns::test::make_answer(received, answer_to(*view->question(), name));
      (void)::sendto(fd_.get(), answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from),
                     length);
    }
  }

  // What resolv.conf says of it.
  [[nodiscard]] std::string line() const { return "nameserver " + at_ + "\n"; }
  [[nodiscard]] std::uint16_t port() const { return port_; }

  struct Entry {
    std::vector<std::string> addresses;
    std::uint32_t ttl = 60;
    std::string alias{};
    std::uint32_t alias_ttl = 60;
  };
  std::map<std::string, Entry> zone;  // Without a dot at the end; others do not exist.
  std::map<std::string, int> questions;
  std::optional<wire::DnsRcode> rcode;  // Of every answer.
  bool silent = false;

 private:
  [[nodiscard]] AnswerOptions answer_to(const wire::DnsQuestion& question, std::string name) const {
    AnswerOptions options;
    if (name.ends_with('.')) name.pop_back();
    const auto found = zone.find(name);
    if (rcode) {
      options.rcode = *rcode;
    } else if (found == zone.end()) {
      options.rcode = wire::DnsRcode::kNxDomain;
    } else {
      for (const std::string& address : found->second.addresses) {
        const bool is_v4 = ip(address).is_v4();
        if ((question.type == wire::DnsType::kA) == is_v4) {
          options.records.push_back({address, found->second.ttl});
        }
      }
      options.alias = found->second.alias;
      options.alias_ttl = found->second.alias_ttl;
    }
    return options;
  }

  UniqueFd fd_{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  std::string at_;
  std::uint16_t port_ = 0;
};

class ResolverTest : public testing::Test {
 protected:
  ResolverTest() {
    telemetry::set_log_level(telemetry::LogLevel::kError);
    write_config(server_);
    resolver_ = Resolver::create(loop_, kTagBase, options()).value();
  }
  ~ResolverTest() override {
    resolver_.reset();
    telemetry::set_log_level(telemetry::LogLevel::kWarn);
    std::filesystem::remove(path_);
  }

  [[nodiscard]] ResolverOptions options() const {
    return {.resolv_conf = path_, .port = server_.port()};
  }
  void write_config(const NameServer& server) const {
    std::ofstream(path_) << server.line() << "search .\n";
  }

  static std::shared_ptr<LiveRule> rule_of(const std::vector<std::string>& hosts) {
    Rule rule;
    for (const std::string& host : hosts) {
      Target target;
      target.place.host = host;
      target.place.port = 80;
      rule.targets.push_back(target);
    }
    return std::make_shared<LiveRule>(std::move(rule), policy::AccessList{},
                                      std::make_shared<RuleCounters>());
  }

  // Time as the resolver sees it: real time, and what a test skips.
  [[nodiscard]] Instant now() const { return loop_.now() + skipped_; }
  // To the moment when the resolver wants to act next.
  void skip_to_deadline() {
    skipped_ += std::max(resolver_->next_deadline() - now(), Duration{});
    resolver_->on_time(now());
  }

  template <typename Done>
  bool run_until(Done done, Duration at_most = 5s) {
    const Instant end = loop_.now() + at_most;
    while (!done()) {
      if (loop_.now() > end) return false;
      turn();
    }
    return true;
  }
  void turn() {
    std::array<epoll_event, 16> events{};
    const std::size_t ready = loop_.wait(events, loop_.now(), loop_.now() + 5ms).value();
    for (std::size_t i = 0; i < ready; ++i) {
      const std::uint64_t tag = events[i].data.u64;
      ASSERT_EQ(tag & ~std::uint64_t{0xffff'ffff}, kTagBase);
      resolver_->on_event(static_cast<int>(tag), events[i].events, now());
    }
    server_.serve();
    other_server_.serve();
    if (resolver_->next_deadline() <= now()) resolver_->on_time(now());
  }
  bool settle() {
    return run_until([&] { return resolver_->settled(); });
  }

  NameServer server_{"127.0.0.1"};
  NameServer other_server_{"127.0.0.2", server_.port()};
  std::string path_ =
      std::filesystem::temp_directory_path() / ("sluice-resolv-" + std::to_string(::getpid()));
  sys::EventLoop loop_ = sys::EventLoop::create(sys::real_kernel()).value();
  std::unique_ptr<Resolver> resolver_;
  Duration skipped_{};
};

using Addresses = std::vector<wire::IpAddress>;

TEST_F(ResolverTest, BothFamiliesAreAskedFor) {
  server_.zone["db.example"] = {.addresses = {"192.0.2.1", "2001:db8::1", "192.0.2.2"}};
  const auto rule = rule_of({"db.example", "192.0.2.99"});
  EXPECT_TRUE(resolver_->settled());  // Nothing is watched.
  resolver_->watch(rule, now());
  EXPECT_FALSE(resolver_->settled());
  ASSERT_TRUE(settle());
  Addresses got = rule->targets.addresses(0);
  std::ranges::sort(got);
  Addresses expected{ip("192.0.2.1"), ip("192.0.2.2"), ip("2001:db8::1")};
  std::ranges::sort(expected);
  EXPECT_EQ(got, expected);
  EXPECT_EQ(rule->targets.addresses(1), Addresses{ip("192.0.2.99")});
}

TEST_F(ResolverTest, AsksAgainWhenTheTtlHasPassedAndFollowsAChange) {
  server_.zone["db.example"] = {.addresses = {"192.0.2.1"}, .ttl = 30};
  const auto rule = rule_of({"db.example"});
  resolver_->watch(rule, now());
  ASSERT_TRUE(settle());
  const Duration left = resolver_->next_deadline() - now();
  EXPECT_GT(left, 29s);
  EXPECT_LE(left, 30s);
  server_.zone["db.example"].addresses = {"192.0.2.2"};
  skip_to_deadline();
  EXPECT_EQ(rule->targets.addresses(0), Addresses{ip("192.0.2.1")});  // Until it is answered.
  EXPECT_TRUE(run_until([&] { return rule->targets.addresses(0) == Addresses{ip("192.0.2.2")}; }));
}

TEST_F(ResolverTest, TheShortestTtlCountsWithinBounds) {
  server_.zone["zero.example"] = {.addresses = {"192.0.2.1"}, .ttl = 0};
  server_.zone["week.example"] = {.addresses = {"192.0.2.2"}, .ttl = 604'800};
  server_.zone["alias.example"] = {
      .addresses = {"192.0.2.3"}, .ttl = 250, .alias = "true.example", .alias_ttl = 7};
  const std::vector<std::pair<std::string, Duration>> expected{
      {"zero.example", 1s}, {"week.example", 5min}, {"alias.example", 7s}};
  for (const auto& [name, ttl] : expected) {
    resolver_ = Resolver::create(loop_, kTagBase, options()).value();
    const auto rule = rule_of({name});
    resolver_->watch(rule, now());
    ASSERT_TRUE(settle());
    ASSERT_EQ(rule->targets.addresses(0).size(), 1u) << name;
    const Duration left = resolver_->next_deadline() - now();
    EXPECT_LE(left, ttl) << name;
    EXPECT_GT(left, ttl - 900ms) << name;
  }
}

TEST_F(ResolverTest, ANameThatDoesNotExistIsAskedForAgainAfterTenSeconds) {
  const auto rule = rule_of({"new.example"});
  resolver_->watch(rule, now());
  ASSERT_TRUE(settle());
  EXPECT_TRUE(rule->targets.addresses(0).empty());
  const Duration left = resolver_->next_deadline() - now();
  EXPECT_GT(left, 9s);
  EXPECT_LE(left, 10s);
  server_.zone["new.example"] = {.addresses = {"192.0.2.5"}};
  skip_to_deadline();
  EXPECT_TRUE(run_until([&] { return rule->targets.addresses(0) == Addresses{ip("192.0.2.5")}; }));
}

TEST_F(ResolverTest, FailuresKeepTheOldAddresses) {
  server_.zone["db.example"] = {.addresses = {"192.0.2.1"}, .ttl = 30};
  const auto rule = rule_of({"db.example"});
  resolver_->watch(rule, now());
  ASSERT_TRUE(settle());
  for (const auto& [rcode, retry] :
       {std::pair<wire::DnsRcode, Duration>{wire::DnsRcode::kNxDomain, Resolver::kRetryAfter},
        {wire::DnsRcode::kServFail, Resolver::kAskAgain}}) {
    server_.rcode = rcode;
    const int before = server_.questions["db.example"];
    skip_to_deadline();
    const Instant asked = now();
    ASSERT_TRUE(run_until([&] { return server_.questions["db.example"] > before; }));
    for (int i = 0; i < 5; ++i) turn();  // The answer comes.
    EXPECT_EQ(rule->targets.addresses(0), Addresses{ip("192.0.2.1")});
    EXPECT_GE(resolver_->next_deadline(), asked + retry - 10ms);
    EXPECT_LE(resolver_->next_deadline(), now() + retry);
  }
  server_.rcode.reset();
  server_.zone["db.example"].addresses = {"192.0.2.7"};
  skip_to_deadline();
  EXPECT_TRUE(run_until([&] { return rule->targets.addresses(0) == Addresses{ip("192.0.2.7")}; }));
}

TEST_F(ResolverTest, WarnsOfTheFirstFailureAndTellsOfAChange) {
  const UniqueFd log(::memfd_create("log", MFD_CLOEXEC));
  telemetry::set_log_descriptor(log.get());
  telemetry::set_log_level(telemetry::LogLevel::kInfo);
  const auto rule = rule_of({"db.example"});
  resolver_->watch(rule, now());
  EXPECT_TRUE(settle());
  const auto refresh = [&] {
    const int before = server_.questions["db.example"];
    skip_to_deadline();
    EXPECT_TRUE(run_until([&] {
      return server_.questions["db.example"] > before && resolver_->next_deadline() > now() + 5s;
    }));
  };
  refresh();
  refresh();
  server_.zone["db.example"] = {.addresses = {"192.0.2.1", "2001:db8::1"}};
  refresh();
  refresh();
  telemetry::set_log_descriptor(STDERR_FILENO);
  std::string text(4096, '\0');
  text.resize(static_cast<std::size_t>(
      std::max<ssize_t>(::pread(log.get(), text.data(), text.size(), 0), 0)));
  EXPECT_EQ(std::ranges::count(text, '\n'), 2) << text;
  EXPECT_NE(text.find("warning: cannot resolve 'db.example': Domain name not found"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("'db.example' is now "), std::string::npos) << text;
}

TEST_F(ResolverTest, ASilentServerIsAFailureInTheEnd) {
  server_.silent = true;
  const auto rule = rule_of({"db.example"});
  resolver_->watch(rule, now());
  EXPECT_LE(resolver_->next_deadline(), now() + 2s);  // The timeout of the question.
  ASSERT_TRUE(run_until([&] { return resolver_->settled(); }, 8s));
  EXPECT_TRUE(rule->targets.addresses(0).empty());
  EXPECT_GE(server_.questions["db.example"], 2);
  // A channel that met a dead server is made anew, and finds the one that answers again.
  server_.silent = false;
  server_.zone["db.example"] = {.addresses = {"192.0.2.1"}};
  skip_to_deadline();
  EXPECT_TRUE(run_until([&] { return !rule->targets.addresses(0).empty(); }));
}

// However the server failed, and not more than a few questions a second meanwhile.
TEST_F(ResolverTest, AfterAnOutageTheNewAddressIsThereWithinTwoSeconds) {
  server_.zone["db.example"] = {.addresses = {"192.0.2.1"}, .ttl = 1};
  const auto rule = rule_of({"db.example"});
  resolver_->watch(rule, now());
  ASSERT_TRUE(settle());
  int last = 1;
  const auto outage = [&](std::optional<wire::DnsRcode> rcode, bool silent, Duration lasts) {
    server_.rcode = rcode;
    server_.silent = silent;
    const int before = server_.questions["db.example"];
    EXPECT_FALSE(run_until([] { return false; }, lasts));
    const int asked = server_.questions["db.example"] - before;
    EXPECT_GE(asked, lasts / 1500ms);
    EXPECT_LE(asked, 2 + 4 * (lasts / 1s));
    EXPECT_EQ(rule->targets.addresses(0).size(), 1u);
    server_.rcode.reset();
    server_.silent = false;
    const std::string fresh = "192.0.2." + std::to_string(++last);
    server_.zone["db.example"].addresses = {fresh};
    EXPECT_TRUE(run_until([&] { return rule->targets.addresses(0) == Addresses{ip(fresh)}; }, 2s))
        << "silent " << silent;
  };
  outage(wire::DnsRcode::kServFail, false, 2s);
  outage(wire::DnsRcode::kRefused, false, 2s);
  outage({}, true, 6s);  // Longer than one question lasts.
}

TEST_F(ResolverTest, ManyNamesAreAskedForLessOftenWhileTheirServersFail) {
  server_.rcode = wire::DnsRcode::kServFail;
  std::vector<std::string> hosts;
  for (int i = 0; i < 200; ++i) hosts.push_back("n" + std::to_string(i) + ".example");
  const auto rule = rule_of(hosts);
  resolver_->watch(rule, now());
  ASSERT_TRUE(settle());
  EXPECT_GT(resolver_->next_deadline(), now() + 2s);
  EXPECT_LE(resolver_->next_deadline(), now() + 4s);
}

TEST_F(ResolverTest, FollowsResolvConfAndPutsOpenQuestionsToTheNewServer) {
  server_.silent = true;
  const auto rule = rule_of({"db.example"});
  resolver_->watch(rule, now());
  other_server_.zone["db.example"] = {.addresses = {"192.0.2.1"}};
  other_server_.zone["other.example"] = {.addresses = {"192.0.2.2"}};
  write_config(other_server_);
  // Two writes may fall into one tick of the file system's clock.
  std::filesystem::last_write_time(path_, std::filesystem::file_time_type::clock::now() + 5s);
  // The next question sees the new file.
  skipped_ += 1s;
  const auto other = rule_of({"other.example"});
  resolver_->watch(other, now());
  ASSERT_TRUE(settle());
  EXPECT_EQ(other->targets.addresses(0), Addresses{ip("192.0.2.2")});
  EXPECT_EQ(rule->targets.addresses(0), Addresses{ip("192.0.2.1")});
  EXPECT_EQ(server_.questions["other.example"], 0);
}

TEST_F(ResolverTest, LocalhostComesFromTheHostsFileAtOnce) {
  const auto rule = rule_of({"localhost"});
  resolver_->watch(rule, now());
  EXPECT_TRUE(resolver_->settled());
  const Addresses got = rule->targets.addresses(0);
  EXPECT_TRUE(std::ranges::find(got, ip("127.0.0.1")) != got.end());
  EXPECT_TRUE(std::ranges::all_of(got, &wire::IpAddress::is_loopback));
  EXPECT_TRUE(server_.questions.empty());
  EXPECT_GT(resolver_->next_deadline(), now() + 5s);  // Not read every second.
}

TEST_F(ResolverTest, ANameIsAskedForOnceForAllItsTargets) {
  server_.zone["db.example"] = {.addresses = {"192.0.2.1"}};
  const auto one = rule_of({"db.example", "db.example"});
  const auto two = rule_of({"192.0.2.9", "db.example"});
  resolver_->watch(one, now());
  resolver_->watch(two, now());
  resolver_->watch(two, now());
  ASSERT_TRUE(settle());
  EXPECT_EQ(server_.questions.size(), 1u);
  EXPECT_EQ(server_.questions.begin()->second, 1);
  const Addresses expected{ip("192.0.2.1")};
  EXPECT_EQ(one->targets.addresses(0), expected);
  EXPECT_EQ(one->targets.addresses(1), expected);
  EXPECT_EQ(two->targets.addresses(1), expected);
  // One that comes later, as at a reload, has them at once.
  const auto three = rule_of({"db.example"});
  resolver_->watch(three, now());
  EXPECT_EQ(three->targets.addresses(0), expected);
}

TEST_F(ResolverTest, NamesOfRulesThatEndedAreNotAskedForAgain) {
  server_.zone["db.example"] = {.addresses = {"192.0.2.1"}, .ttl = 30};
  auto rule = rule_of({"db.example"});
  const std::weak_ptr<LiveRule> seen = rule;
  resolver_->watch(rule, now());
  ASSERT_TRUE(settle());
  rule.reset();
  EXPECT_TRUE(seen.expired());
  const auto before = server_.questions;
  skip_to_deadline();
  EXPECT_EQ(resolver_->next_deadline(), kNever);
  for (int i = 0; i < 5; ++i) turn();
  EXPECT_EQ(server_.questions, before);
}

TEST_F(ResolverTest, GoesAwayInTheMiddleOfQuestions) {
  server_.silent = true;
  const auto rule = rule_of({"a.example", "b.example"});
  resolver_->watch(rule, now());
  turn();
  resolver_.reset();
  EXPECT_TRUE(rule->targets.addresses(0).empty());
}

}  // namespace
}  // namespace sluice::forward
