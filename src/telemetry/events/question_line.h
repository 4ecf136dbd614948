// A question to people as members of a line of JSON: of events, and of the control socket's
// answers. The guest chose the name; it is written as in events.
#pragma once

#include "policy/ask/question.h"
#include "telemetry/json_line.h"

namespace sluice::telemetry {

// What it is about.
void add_subject(JsonLine& line, const policy::Question& question);
// Its number, what it is about, which rule asks, who waits, and the rules that answers would make.
void add_question(JsonLine& line, const policy::Question& question);

}  // namespace sluice::telemetry
