// The runs that the page knows: what it asks of them, and what they tell. Of each run one
// connection for requests, which go out one behind the other, and one for events while somebody
// listens. Nobody waits for a run: what is not answered in time has no answer. Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/time.h"
#include "sys/event_loop.h"
#include "web/run_link.h"

namespace sluice::web {

// What a run has said to a request: {"items":[LINE,…],"answer":LINE}, or why it said nothing.
struct RunAnswer {
  bool reached = false;
  std::string text;  // JSON, or a sentence.
};

// Of the events of a run, as they come.
class EventListener {
 public:
  // From here on none is missing.
  virtual void on_begin() = 0;
  virtual void on_line(std::string_view line) = 0;
  // There will be no more.
  virtual void on_end() = 0;

 protected:
  ~EventListener() = default;
};

class RunBook {
 public:
  using Done = std::function<void(RunAnswer)>;
  static constexpr std::size_t kRunsMax = 256;     // With a connection at a time.
  static constexpr std::size_t kWaitingMax = 256;  // Requests to a run without an answer yet.
  static constexpr std::size_t kAnswerMax = 4 * 1024 * 1024;
  static constexpr Duration kPatience = std::chrono::seconds(5);
  // A connection that nobody has needed for so long is given back: a run has few places.
  static constexpr Duration kIdle = std::chrono::seconds(10);

  // Not owned. Descriptors are watched in it with tags from `first_tag` on.
  RunBook(sys::EventLoop& loop, std::uint64_t first_tag) : loop_(loop), next_tag_(first_tag) {}
  RunBook(const RunBook&) = delete;
  RunBook& operator=(const RunBook&) = delete;

  // `line` is a request with its newline. `done` is called once, maybe before this returns.
  void ask(const std::string& run, std::string_view line, Instant now, Done done);
  // False: there is no such run. The listener is not owned, and leaves before it goes.
  [[nodiscard]] bool listen(const std::string& run, EventListener& listener);
  void leave(const std::string& run, EventListener& listener);

  void on_event(std::uint64_t tag, std::uint32_t events, Instant now);
  [[nodiscard]] Instant next_wakeup() const;
  void on_time(Instant now);

 private:
  struct Waiting {
    Done done;
    Instant until{};
    std::string items{};
  };
  struct Asker {
    RunLink link;
    std::uint64_t tag = 0;
    Instant used{};
    std::deque<Waiting> waiting{};
  };
  struct Feed {
    RunLink link;
    std::uint64_t tag = 0;
    bool answers = true;      // It was told that its questions are answered here.
    bool subscribed = false;  // The run has agreed.
    std::set<EventListener*> listeners{};
  };

  [[nodiscard]] Asker* asker_of(const std::string& run, std::string& why);
  [[nodiscard]] bool watch(RunLink& link, std::uint64_t tag);
  [[nodiscard]] static bool hear(Asker& asker, Instant now);
  [[nodiscard]] static bool take(Asker& asker, std::string_view line);
  [[nodiscard]] bool hear(Feed& feed);
  [[nodiscard]] static bool subscribe(Feed& feed);
  void drop_asker(const std::string& run, std::string_view why);
  void drop_feed(const std::string& run);

  sys::EventLoop& loop_;
  std::uint64_t next_tag_;
  std::map<std::string, Asker> askers_;
  std::map<std::string, Feed> feeds_;
  std::map<std::uint64_t, std::string> runs_;  // By tag.
};

}  // namespace sluice::web
