#include "web/run_book.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

namespace sluice::web {
namespace {

// Lines that are taken of a run before others have their turn.
constexpr int kReadsEach = 16;

// Whether it is a line of an answer; and the last one, which has "ok".
struct Line {
  bool valid = false;
  bool last = false;
  bool ok = false;
};

[[nodiscard]] Line look_at(std::string_view text) {
  const auto json = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (!json.is_object()) return {};
  const auto ok = json.find("ok");
  return {.valid = true,
          .last = ok != json.end(),
          .ok = ok != json.end() && ok->is_boolean() && ok->get<bool>()};
}

}  // namespace

bool RunBook::watch(RunLink& link, std::uint64_t tag) {
  const std::uint32_t wanted = EPOLLIN | (link.has_output() ? std::uint32_t{EPOLLOUT} : 0U);
  if (wanted == link.watched) return true;
  const bool fresh = std::exchange(link.watched, wanted) == 0;
  return (fresh ? loop_.add(link.fd(), wanted, tag) : loop_.modify(link.fd(), wanted, tag))
      .has_value();
}

RunBook::Asker* RunBook::asker_of(const std::string& run, std::string& why) {
  if (const auto found = askers_.find(run); found != askers_.end()) return &found->second;
  if (askers_.size() >= kRunsMax) {
    why = "too many runs are asked at a time";
    return nullptr;
  }
  auto link = RunLink::open(run);
  if (!link) {
    why = link.error();
    return nullptr;
  }
  Asker& asker =
      askers_.emplace(run, Asker{.link = std::move(*link), .tag = next_tag_++}).first->second;
  runs_.emplace(asker.tag, run);
  return &asker;
}

void RunBook::ask(const std::string& run, std::string_view line, Instant now, Done done) {
  std::string why;
  Asker* const asker = asker_of(run, why);
  if (asker == nullptr) {
    done({.text = std::move(why)});
    return;
  }
  if (asker->waiting.size() >= kWaitingMax) {
    done({.text = "too many requests wait for this run"});
    return;
  }
  asker->used = now;
  asker->waiting.push_back({.done = std::move(done), .until = now + kPatience});
  if (!asker->link.send(line) || !watch(asker->link, asker->tag)) {
    drop_asker(run, "the run has ended");
  }
}

bool RunBook::take(Asker& asker, std::string_view line) {
  const Line seen = look_at(line);
  if (!seen.valid || asker.waiting.empty()) return false;
  Waiting& first = asker.waiting.front();
  if (!seen.last) {
    if (first.items.size() + line.size() > kAnswerMax) return false;
    if (!first.items.empty()) first.items += ',';
    first.items += line;
    return true;
  }
  RunAnswer answer{.reached = true, .text = "{\"items\":["};
  answer.text += first.items;
  answer.text += "],\"answer\":";
  answer.text += line;
  answer.text += '}';
  const Done done = std::move(first.done);
  asker.waiting.pop_front();
  done(std::move(answer));
  return true;
}

bool RunBook::hear(Asker& asker, Instant now) {
  for (int i = 0; i < kReadsEach; ++i) {
    if (!asker.link.read()) return false;
    std::string_view line;
    bool any = false;
    while (asker.link.take_line(line)) {
      any = true;
      if (!take(asker, line)) return false;
    }
    asker.used = now;
    if (!any) break;
  }
  return true;
}

bool RunBook::subscribe(Feed& feed) {
  return feed.link.send(feed.answers ? "{\"do\":\"subscribe\",\"answers\":true}\n"
                                     : "{\"do\":\"subscribe\"}\n");
}

bool RunBook::hear(Feed& feed) {
  if (!feed.link.read()) return false;
  std::string_view line;
  while (feed.link.take_line(line)) {
    if (!feed.subscribed) {
      const Line seen = look_at(line);
      feed.subscribed = seen.ok;
      if (seen.ok) {
        for (EventListener* const one : feed.listeners) one->on_begin();
        continue;
      }
      // A run that asks nobody does not know the word.
      if (!seen.last || !std::exchange(feed.answers, false) || !subscribe(feed)) return false;
      continue;
    }
    // Whoever listens may leave while he is told.
    const std::vector<EventListener*> all(feed.listeners.begin(), feed.listeners.end());
    for (EventListener* const one : all) {
      if (feed.listeners.contains(one)) one->on_line(line);
    }
  }
  return true;
}

bool RunBook::listen(const std::string& run, EventListener& listener) {
  auto found = feeds_.find(run);
  if (found == feeds_.end()) {
    if (feeds_.size() >= kRunsMax) return false;
    auto link = RunLink::open(run);
    if (!link) return false;
    found = feeds_.emplace(run, Feed{.link = std::move(*link), .tag = next_tag_++}).first;
    Feed& feed = found->second;
    runs_.emplace(feed.tag, run);
    if (!subscribe(feed) || !watch(feed.link, feed.tag)) {
      drop_feed(run);
      return false;
    }
  }
  found->second.listeners.insert(&listener);
  if (found->second.subscribed) listener.on_begin();
  return true;
}

void RunBook::leave(const std::string& run, EventListener& listener) {
  const auto found = feeds_.find(run);
  if (found == feeds_.end()) return;
  found->second.listeners.erase(&listener);
  if (found->second.listeners.empty()) drop_feed(run);
}

void RunBook::on_event(std::uint64_t tag, std::uint32_t events, Instant now) {
  const auto known = runs_.find(tag);
  if (known == runs_.end()) return;  // It was dropped in this very turn.
  const std::string run = known->second;
  if (const auto found = askers_.find(run); found != askers_.end() && found->second.tag == tag) {
    RunLink& link = found->second.link;
    const bool lives = ((events & EPOLLOUT) == 0 || link.write()) &&
                       ((events & ~std::uint32_t{EPOLLOUT}) == 0 || hear(found->second, now));
    // What was answered may have asked again, and so dropped it.
    const auto still = askers_.find(run);
    if (still == askers_.end() || still->second.tag != tag) return;
    if (!lives || !watch(still->second.link, tag)) drop_asker(run, "the run has ended");
    return;
  }
  if (const auto found = feeds_.find(run); found != feeds_.end() && found->second.tag == tag) {
    RunLink& link = found->second.link;
    const bool lives = ((events & EPOLLOUT) == 0 || link.write()) &&
                       ((events & ~std::uint32_t{EPOLLOUT}) == 0 || hear(found->second));
    const auto still = feeds_.find(run);
    if (still == feeds_.end() || still->second.tag != tag) return;
    if (!lives || !watch(still->second.link, tag)) drop_feed(run);
  }
}

void RunBook::drop_asker(const std::string& run, std::string_view why) {
  auto node = askers_.extract(run);
  if (node.empty()) return;
  runs_.erase(node.mapped().tag);
  for (Waiting& waiting : node.mapped().waiting) waiting.done({.text = std::string(why)});
}

void RunBook::drop_feed(const std::string& run) {
  auto node = feeds_.extract(run);
  if (node.empty()) return;
  runs_.erase(node.mapped().tag);
  for (EventListener* const listener : node.mapped().listeners) listener->on_end();
}

Instant RunBook::next_wakeup() const {
  Instant next = kNever;
  for (const auto& [run, asker] : askers_) {
    next = std::min(next, asker.waiting.empty() ? asker.used + kIdle : asker.waiting.front().until);
  }
  return next;
}

void RunBook::on_time(Instant now) {
  std::vector<std::string> late;
  for (const auto& [run, asker] : askers_) {
    const Instant until = asker.waiting.empty() ? asker.used + kIdle : asker.waiting.front().until;
    if (now >= until) late.push_back(run);
  }
  for (const std::string& run : late) drop_asker(run, "the run does not answer");
}

}  // namespace sluice::web
