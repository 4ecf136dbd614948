// What tests with listeners of a forwarder share.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "forward/plan.h"
#include "forward/session/live_rule.h"
#include "sys/sockaddr.h"
#include "wire/address.h"

namespace sluice::forward {

// A folder that goes with the test.
class TestFolder {
 public:
  TestFolder() {
    char name[] = "/tmp/sluice-forward-XXXXXX";
    path_ = ::mkdtemp(name);
    ::chmod(name, 0777);  // For a forwarder of root's, which becomes another user.
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// A rule that listens at `host`, with one target that nobody connects to.
inline Rule rule_at(const std::string& host, std::uint16_t port,
                    policy::Protocol protocol = policy::Protocol::kTcp) {
  Rule rule;
  rule.listen.protocol = protocol;
  rule.listen.host = host;
  rule.listen.port = port;
  rule.targets.emplace_back();
  Place& target = rule.targets.front().place;
  target.protocol = protocol;
  target.host = "127.0.0.1";
  target.port = 9;
  rule.name = to_string(rule.listen);
  return rule;
}

inline Rule unix_rule(const std::string& path) {
  Rule rule = rule_at("", 0);
  rule.listen.path = path;
  rule.name = to_string(rule.listen);
  return rule;
}

inline Plan plan_of(std::vector<Rule> rules) {
  Plan plan;
  plan.rules = std::move(rules);
  return plan;
}

inline std::vector<std::shared_ptr<LiveRule>> live(const Plan& plan) {
  std::vector<std::shared_ptr<LiveRule>> rules;
  for (const Rule& rule : plan.rules) {
    rules.push_back(
        std::make_shared<LiveRule>(rule, plan.access, std::make_shared<RuleCounters>()));
  }
  return rules;
}

// A blocking TCP connection; no descriptor when it was refused.
inline UniqueFd connect_to(const std::string& address, std::uint16_t port) {
  const sys::SocketAddress name =
      sys::to_sockaddr({wire::parse_ip(address).value(), wire::Port{port}});
  UniqueFd fd(::socket(name.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(fd.get(), name.get(), name.length) != 0) fd.reset();
  return fd;
}

}  // namespace sluice::forward
