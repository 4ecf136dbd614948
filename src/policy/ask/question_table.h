// The questions of a guest that people have not answered yet. A question waits, with the flows that
// asked it, until its time is over; then its flows go on without, and it stays to be answered for
// later ones. So it does when there is nobody to answer, or whoever asked gave up.
//
// What a guest can fill is bounded, and half of the places are the most that the names of one
// registrable domain get: who makes up names below its own domain does not keep others from being
// asked about. Sans-IO; time is an argument. Not thread-safe: one thread has it for all workers of
// the guest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "policy/ask/question.h"
#include "policy/verdict.h"

namespace sluice::policy {

class QuestionTable {
 public:
  // Flows that wait for all answers together.
  static constexpr std::size_t kWaitersMax = 4096;
  // For how long an answer that came too late waits for the next try.
  static constexpr Duration kPassFor = std::chrono::minutes{10};

  explicit QuestionTable(const AskSettings& settings) : settings_(settings) {}

  // What a flow brings.
  struct Asking {
    Subject subject{};
    std::optional<Waiter> waiter{};  // None: it does not wait.
    std::string domain{};
    std::string rule{};
    std::string note{};
    bool attended = false;  // Somebody is there to answer.
  };
  struct Asked {
    std::optional<Verdict> verdict{};  // At once; nothing: it waits.
    const Question* begun = nullptr;   // A question that waits from here on; until the next call.
  };
  [[nodiscard]] Asked ask(Asking asking, Instant now);

  // The flow has gone, or was decided about otherwise.
  void withdraw(const Waiter& waiter);

  [[nodiscard]] const Question* find(std::uint64_t id) const;
  // It is answered: its waiters are whoever calls' to tell.
  [[nodiscard]] std::optional<Question> take(std::uint64_t id);
  // An answer to nobody: the next one who asks this gets it, once.
  void leave_answer(const Subject& subject, Verdict verdict, Instant now);

  // Questions whose time is over, and that stay without the waiters that each has here.
  [[nodiscard]] std::vector<Question> lapse(Instant now);
  // All that wait: there is nobody to answer any more.
  [[nodiscard]] std::vector<Question> lapse_all();
  // Removes those that `settled` holds for, and returns them.
  template <typename Settled>
  [[nodiscard]] std::vector<Question> remove_if(const Settled& settled) {
    std::vector<Question> removed;
    std::erase_if(questions_, [&](Question& question) {
      if (!settled(question)) return false;
      removed.push_back(std::move(question));
      return true;
    });
    return removed;
  }

  // By domain; those of a domain as they came.
  [[nodiscard]] std::vector<const Question*> by_domain() const;
  [[nodiscard]] std::size_t waiting() const;
  [[nodiscard]] std::size_t unanswered() const { return questions_.size() - waiting(); }
  [[nodiscard]] Instant next_wakeup() const;
  [[nodiscard]] const AskSettings& settings() const { return settings_; }

 private:
  struct Pass {
    Subject subject{};
    Verdict verdict = Verdict::kAccepted;
    Instant until{};
  };

  [[nodiscard]] std::optional<Verdict> use_pass(const Subject& subject, Instant now);
  [[nodiscard]] bool has_room(const std::string& domain) const;
  [[nodiscard]] Question* find_same(const Subject& subject);
  void forget_one();
  [[nodiscard]] std::size_t waiters() const;

  AskSettings settings_;
  std::vector<Question> questions_;
  std::vector<Pass> passes_;
  std::uint64_t last_id_ = 0;
};

// What questions of one domain have in common: the domain; else the name, or the address.
[[nodiscard]] std::string group_of(const Question& question);

}  // namespace sluice::policy
