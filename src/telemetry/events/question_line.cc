#include "telemetry/events/question_line.h"

#include <fmt/format.h>

#include <array>
#include <string>

#include "telemetry/text.h"

namespace sluice::telemetry {
namespace {

constexpr std::array kBreadths{policy::AnswerBreadth::kNamePort, policy::AnswerBreadth::kName,
                               policy::AnswerBreadth::kDomain};

}  // namespace

void add_subject(JsonLine& line, const policy::Question& question) {
  const policy::Subject& subject = question.subject;
  if (subject.name) {
    line.text("name", subject.name->to_text());
  } else {
    line.null("name");
  }
  if (question.domain.empty()) {
    line.null("domain");
  } else {
    line.text("domain", question.domain);
  }
  line.filled("address", [&](fmt::memory_buffer& to) { append_address(to, subject.address); });
  line.number("port", subject.port.value);
  line.text("proto", policy::to_string(subject.protocol));
}

void add_question(JsonLine& line, const policy::Question& question) {
  line.number("question", question.id);
  add_subject(line, question);
  line.text("rule", question.rule);
  line.text("note", question.note);
  line.number("count", question.count);
  line.number("waiting", question.waiters.size());
  line.open_object("rules");
  for (const policy::AnswerBreadth breadth : kBreadths) {
    if (const auto target = policy::target_of(question, breadth)) {
      line.text(to_string(breadth), policy::to_string(*target));
    }
  }
  line.close();
}

}  // namespace sluice::telemetry
