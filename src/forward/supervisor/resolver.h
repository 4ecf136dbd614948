// Addresses of targets' names, by c-ares, kept fresh: asked again when the shortest TTL has passed
// (between 1 s and 5 min; 10 s after the answer that there is no such name; the old addresses stay
// while a question is unanswered or fails). /etc/hosts counts. Runs in the supervisor's loop; owns
// its sockets' interest.
//
// A question that was lost is known as lost late, and a server that is slow answers late: so while
// one is unanswered another is put every kAskAgain, and the first answer counts. A name server that
// comes back is thus heard within two seconds, however it failed. With many names it is asked less
// often, kOutageRate times a second in all.
//
// A name is asked for once, however many targets have it. The addresses come in the order of
// RFC 6724. resolv.conf is followed: before a question is asked, a changed file is read, and
// questions that are under way are put to the new servers.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "forward/session/live_rule.h"
#include "resolv/resolver_config.h"
#include "sys/event_loop.h"
#include "wire/address.h"

// Of <ares.h>, which only resolver.cc needs.
struct ares_channeldata;
struct ares_addrinfo;

namespace sluice::forward {

struct ResolverOptions {
  std::string resolv_conf = "/etc/resolv.conf";
  std::uint16_t port = 53;  // Of its name servers.
};

class Resolver {
 public:
  static constexpr Duration kRefreshMin = std::chrono::seconds{1};
  static constexpr Duration kRefreshMax = std::chrono::minutes{5};
  static constexpr Duration kRetryAfter = std::chrono::seconds{10};  // The name does not exist.
  // The servers do not answer, or have failed.
  static constexpr Duration kAskAgain = std::chrono::seconds{1};
  static constexpr int kOutageRate = 50;
  // Of one name, under way at a time.
  static constexpr unsigned kQuestionsMax = 8;
  // Of what came from /etc/hosts, which knows no TTL.
  static constexpr Duration kHostsRefresh = std::chrono::seconds{10};

  // Events of its descriptors carry `tag_base` | fd.
  [[nodiscard]] static std::expected<std::unique_ptr<Resolver>, std::string> create(
      sys::EventLoop& loop, std::uint64_t tag_base, const ResolverOptions& options = {});
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Keeps the names of this rule's targets fresh as long as the rule lives (it is not held alive).
  // Names that are known already give their addresses at once, as those of /etc/hosts do. A rule
  // that is watched already goes on as it did.
  void watch(const std::shared_ptr<LiveRule>& rule, Instant now);
  void on_event(int fd, std::uint32_t events, Instant now);
  void on_time(Instant now);
  [[nodiscard]] Instant next_deadline() const;
  // True once every watched name was answered, or failed, at least once.
  [[nodiscard]] bool settled() const;

 private:
  struct CloseChannel {
    void operator()(ares_channeldata* channel) const;
  };
  using Channel = std::unique_ptr<ares_channeldata, CloseChannel>;

  struct Watcher {
    std::weak_ptr<LiveRule> rule;
    std::uint32_t target = 0;
  };
  struct Name {
    Resolver* resolver = nullptr;  // For the callback of c-ares.
    std::string text;
    std::vector<Watcher> watchers;
    std::vector<wire::IpAddress> addresses;
    Instant due{};            // When it is asked for next.
    unsigned asking = 0;      // Questions under way.
    std::uint64_t round = 0;  // Answers to questions of an earlier one come too late.
    bool settled = false;     // It was answered, or failed, once.
    bool failing = false;     // The latest question failed.
  };
  // c-ares holds it until it calls back.
  struct Question {
    Name* name = nullptr;
    std::uint64_t round = 0;
  };
  struct Answer {
    Question question;
    int status = 0;  // ARES_SUCCESS or an error.
    std::vector<wire::IpAddress> addresses;
    Duration ttl{};
  };

  Resolver(sys::EventLoop& loop, std::uint64_t tag_base, const ResolverOptions& options);
  [[nodiscard]] std::expected<Channel, std::string> open_channel();
  void follow_config(Instant now);
  void ask_due(Instant now);
  void ask(Name& name, Instant now);
  // Callbacks of c-ares only write down what happened; the rest is done when it has returned.
  static void on_answer(void* question, int status, int timeouts, ares_addrinfo* result);
  static void on_socket(void* resolver, int fd, int readable, int writable);
  void settle_answers(Instant now);
  void accept(Name& name, Answer& answer, Instant now);
  void reject(Name& name, int status, Instant now);
  // How long a name waits whose servers fail.
  [[nodiscard]] Duration outage_interval() const;
  void drop_unwatched(Instant now);
  void update_deadline(Instant now);

  sys::EventLoop& loop_;
  const std::uint64_t tag_base_;
  const ResolverOptions options_;
  resolv::ResolverConfig config_;  // Only to see that the file changed.
  std::map<std::string, std::unique_ptr<Name>> names_;
  std::vector<Answer> answers_;                     // Since the last settle_answers().
  std::unordered_map<int, std::uint32_t> sockets_;  // What each waits for.
  bool asking_ = false;                             // Within ask(): an answer comes from a file.
  bool server_failed_ = false;  // A channel keeps sockets of servers that were out of reach.
  Instant query_deadline_ = kNever;
  Channel channel_;  // Last: closing it calls back.
};

}  // namespace sluice::forward
