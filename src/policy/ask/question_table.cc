#include "policy/ask/question_table.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace sluice::policy {
namespace {

[[nodiscard]] std::size_t share_of_a_domain(std::size_t places) {
  return std::max<std::size_t>(places / 2, 1);
}

// The question goes on without its waiters, which are returned with a copy of it.
[[nodiscard]] Question lapsed(Question& question) {
  Question copy = question;
  question.waiters.clear();
  question.until = kNever;
  return copy;
}

}  // namespace

std::string group_of(const Question& question) {
  if (!question.domain.empty()) return question.domain;
  return question.subject.name ? question.subject.name->to_text()
                               : wire::to_string(question.subject.address);
}

QuestionTable::Asked QuestionTable::ask(Asking asking, Instant now) {
  if (const auto verdict = use_pass(asking.subject, now)) return {verdict, nullptr};
  Question* question = find_same(asking.subject);
  if (question != nullptr) {
    ++question->count;
    question->last = now;
  }
  const bool joins = question != nullptr && question->waits();
  if (asking.attended && !joins && !has_room(asking.domain)) return {Verdict::kAskQueueFull};
  if (asking.attended && asking.waiter && waiters() >= kWaitersMax) {
    return {Verdict::kAskQueueFull};
  }
  if (question == nullptr) {
    Question fresh{.id = ++last_id_,
                   .subject = std::move(asking.subject),
                   .domain = std::move(asking.domain),
                   .rule = std::move(asking.rule),
                   .note = std::move(asking.note),
                   .count = 1,
                   .first = now,
                   .last = now};
    if (!asking.attended && unanswered() >= settings_.pending) forget_one();
    question = &questions_.emplace_back(std::move(fresh));
  }
  if (!asking.attended) return {Verdict::kAskNobody};
  if (!joins) question->until = now + settings_.timeout;
  if (asking.waiter) question->waiters.push_back(*asking.waiter);
  return {std::nullopt, joins ? nullptr : question};
}

std::optional<Verdict> QuestionTable::use_pass(const Subject& subject, Instant now) {
  std::erase_if(passes_, [&](const Pass& pass) { return now >= pass.until; });
  const auto found =
      std::ranges::find_if(passes_, [&](const Pass& pass) { return pass.subject.same(subject); });
  if (found == passes_.end()) return std::nullopt;
  const Verdict verdict = found->verdict;
  passes_.erase(found);
  return verdict;
}

bool QuestionTable::has_room(const std::string& domain) const {
  if (waiting() >= settings_.pending) return false;
  if (domain.empty()) return true;
  const auto of_domain = std::ranges::count_if(questions_, [&](const Question& question) {
    return question.waits() && question.domain == domain;
  });
  return static_cast<std::size_t>(of_domain) < share_of_a_domain(settings_.pending);
}

Question* QuestionTable::find_same(const Subject& subject) {
  const auto found = std::ranges::find_if(
      questions_, [&](const Question& question) { return question.subject.same(subject); });
  return found == questions_.end() ? nullptr : &*found;
}

// Of those that nobody has answered: the oldest one of the domain that has the most.
void QuestionTable::forget_one() {
  std::map<std::string, std::size_t> counts;
  for (const Question& question : questions_) {
    if (!question.waits()) ++counts[group_of(question)];
  }
  const auto most = std::ranges::max_element(
      counts, [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == counts.end()) return;
  auto oldest = questions_.end();
  for (auto it = questions_.begin(); it != questions_.end(); ++it) {
    if (it->waits() || group_of(*it) != most->first) continue;
    if (oldest == questions_.end() || it->last < oldest->last) oldest = it;
  }
  if (oldest != questions_.end()) questions_.erase(oldest);
}

void QuestionTable::withdraw(const Waiter& waiter) {
  for (Question& question : questions_) {
    if (std::erase(question.waiters, waiter) > 0) return;
  }
}

const Question* QuestionTable::find(std::uint64_t id) const {
  const auto found = std::ranges::find(questions_, id, &Question::id);
  return found == questions_.end() ? nullptr : &*found;
}

std::optional<Question> QuestionTable::take(std::uint64_t id) {
  const auto found = std::ranges::find(questions_, id, &Question::id);
  if (found == questions_.end()) return std::nullopt;
  std::optional<Question> taken(std::move(*found));
  questions_.erase(found);
  return taken;
}

void QuestionTable::leave_answer(const Subject& subject, Verdict verdict, Instant now) {
  std::erase_if(passes_, [&](const Pass& pass) { return pass.subject.same(subject); });
  if (passes_.size() >= settings_.pending) passes_.erase(passes_.begin());
  passes_.push_back({subject, verdict, now + kPassFor});
}

std::vector<Question> QuestionTable::lapse(Instant now) {
  std::vector<Question> over;
  for (Question& question : questions_) {
    if (question.waits() && now >= question.until) over.push_back(lapsed(question));
  }
  while (unanswered() > settings_.pending) forget_one();
  return over;
}

std::vector<Question> QuestionTable::lapse_all() {
  std::vector<Question> over;
  for (Question& question : questions_) {
    if (question.waits()) over.push_back(lapsed(question));
  }
  while (unanswered() > settings_.pending) forget_one();
  return over;
}

std::vector<const Question*> QuestionTable::by_domain() const {
  std::vector<std::tuple<std::string, std::uint64_t, const Question*>> keyed;
  for (const Question& question : questions_) {
    keyed.emplace_back(group_of(question), question.id, &question);
  }
  std::ranges::sort(keyed);
  std::vector<const Question*> sorted;
  sorted.reserve(keyed.size());
  for (const auto& entry : keyed) sorted.push_back(std::get<2>(entry));
  return sorted;
}

std::size_t QuestionTable::waiting() const {
  return static_cast<std::size_t>(std::ranges::count_if(questions_, &Question::waits));
}

std::size_t QuestionTable::waiters() const {
  std::size_t all = 0;
  for (const Question& question : questions_) all += question.waiters.size();
  return all;
}

Instant QuestionTable::next_wakeup() const {
  Instant next = kNever;
  for (const Question& question : questions_) next = std::min(next, question.until);
  return next;
}

}  // namespace sluice::policy
