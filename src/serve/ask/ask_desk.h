// Asks people about flows that a policy leaves to them, and has their answers carried out: by the
// program of --ask-exec, and by clients of the control socket. One for a guest, in the thread of
// its first worker.
//
// Whoever is there to answer is *attached*: the program while it lives, and each client that
// subscribed to the events and said that it answers. While nobody is, flows are refused at once;
// what they asked stays to be seen, and to be answered for later ones.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/answer.h"
#include "control/request.h"
#include "driver/worker_group.h"
#include "policy/ask/question_table.h"
#include "policy/egress/egress_policy.h"
#include "serve/ask/ask_exec.h"
#include "serve/ask/ask_plan.h"
#include "telemetry/events/event_stream.h"

namespace sluice::serve {

struct AskCounters {
  std::uint64_t approved = 0;  // Questions; the last one counts flows.
  std::uint64_t refused = 0;
  std::uint64_t timeout = 0;
  std::uint64_t nobody = 0;
  std::uint64_t queue_full = 0;
};

class AskDesk final : public driver::Asker {
 public:
  // Answers that become rules, in a run: each one makes the policy anew.
  static constexpr std::size_t kRulesMax = 1024;

  // Puts a rule into force, and tells the policy's generation; or says why it cannot.
  using AddRule = std::function<std::expected<std::uint64_t, std::string>(policy::DraftRule)>;

  // References are not owned.
  AskDesk(driver::WorkerGroup& workers, telemetry::EventStream& events, AskPlan plan,
          AskExec program);
  // Before the first turn.
  void use(AddRule add_rule) { add_rule_ = std::move(add_rule); }

  [[nodiscard]] std::optional<policy::Verdict> on_asked(const driver::AskedFlow& asked,
                                                        Instant now) override;
  void on_withdrawn(std::uint32_t worker, const flow::FlowId& flow) override;

  // The requests of the control socket.
  void tell_pending(control::Answer& answer) const;
  void answer(const control::Request& request, std::string_view program, control::Answer& answer);
  void add_status(telemetry::JsonLine& line) const;
  void on_answerer(bool came);

  // The policy is another: what it decides by now is not asked any more.
  void on_policy(const policy::EgressPolicy& policy);

  // The program's descriptor; negative: there is none.
  [[nodiscard]] int fd() const { return program_.fd(); }
  [[nodiscard]] Instant next_wakeup(Instant now) const;
  // Between turns of the workers: at the time above, and when the descriptor is readable.
  void turn(Instant now);

  [[nodiscard]] std::size_t attached() const {
    return answerers_ + (program_.is_there() ? 1U : 0U);
  }
  [[nodiscard]] const AskCounters& counters() const { return counters_; }
  [[nodiscard]] const policy::QuestionTable& questions() const { return table_; }

 private:
  struct Decision {
    bool allow = false;
    policy::AnswerScope scope{};
    policy::AnswerBreadth breadth{};
    std::string by{};
  };
  struct Made {
    std::string rule{};  // As it is written, with its effect; empty: none.
    policy::AnswerScope scope{};
    bool late = false;
    std::uint64_t flows = 0;
    std::optional<std::uint64_t> generation{};
  };
  struct Refusal {
    std::string_view error;
    std::string message;
  };

  [[nodiscard]] std::expected<Decision, Refusal> read(const control::Request& request) const;
  [[nodiscard]] std::expected<Made, Refusal> decide(std::uint64_t id, const Decision& decision);
  [[nodiscard]] std::expected<void, Refusal> make_rule(const policy::Question& question,
                                                       const Decision& decision, Made& made);
  void rule_all(const policy::Question& question, policy::Verdict verdict);
  void let_go(const std::vector<policy::Question>& questions, policy::Verdict verdict,
              std::string_view result);
  void tell(const telemetry::Event& event);
  void tell_program(const policy::Question& question);
  void hear_program();
  void add_row(telemetry::JsonLine& line, const policy::Question& question) const;

  driver::WorkerGroup& workers_;
  telemetry::EventStream& events_;
  AskPlan plan_;
  AskExec program_;
  policy::QuestionTable table_;
  AddRule add_rule_;
  std::size_t answerers_ = 0;
  bool had_program_ = false;
  std::size_t rules_ = 0;             // Made of answers.
  std::uint64_t being_answered_ = 0;  // The question.
  AskCounters counters_;
};

}  // namespace sluice::serve
