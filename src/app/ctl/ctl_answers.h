// The requests of `sluice ctl` that are about questions: which wait, and the answers to them.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/connection.h"
#include "control/request.h"

namespace sluice::app {

// An answer as a person writes it.
struct GivenAnswer {
  control::Verb verb = control::Verb::kApprove;
  std::uint64_t question = 0;
  std::string scope;  // Empty: as the run likes it.
  std::string of;     // The same.
};

// The words behind "approve" or "refuse": ID [once|run|always] [name:port|name|domain]. The error
// is a sentence.
[[nodiscard]] std::expected<GivenAnswer, std::string> read_answer(
    control::Verb verb, const std::vector<std::string>& words);

// What questions wait. Returns the exit status, as the others here.
[[nodiscard]] int show_pending(control::Connection& run, bool json);
// Gives the answer, and keeps it in the user's file of decisions if it is for always.
[[nodiscard]] int give_answer(control::Connection& run, const GivenAnswer& given, bool json);
// Stays, shows questions as they come, and reads the answers of standard input, a line each. While
// it does so there is somebody to ask.
[[nodiscard]] int answer_questions(const std::string& run);

// A question as one row: its domain, number, target, tries, time left and rule. Empty where the
// line is none. Of a long name the end is shown, which says whose it is.
[[nodiscard]] std::vector<std::string> question_row(std::string_view line);
// The same as a sentence: the domain first, and bold where `bold` says so.
[[nodiscard]] std::string question_text(const std::vector<std::string>& row, bool bold);

}  // namespace sluice::app
