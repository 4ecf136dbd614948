// The words of a command line, taken apart by getopt_long(3) as passt and pasta do it: options may
// be shortened, letters put together.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <vector>

#include "app/compat/getopt_words.h"
#include "app/compat/passt_option_table.h"
#include "app/options/early_exit.h"

namespace sluice::app {

struct PasstProgram {
  const char* name;
  const char* about;                     // What --help begins with.
  std::span<const PasstOption> options;  // Besides those that all have.
  GetoptWordsAre words;
};

// Takes each option into the draft; the other words are returned. `words` is the whole command
// line, argv[0] first. Of what is no option at all getopt has printed that; the exit is then empty.
[[nodiscard]] std::expected<std::vector<std::string>, EarlyExit> read_passt_words(
    const PasstProgram& program, std::span<const char* const> words, PasstDraft& draft);

// With exit code 1, as these programs have it.
[[nodiscard]] EarlyExit passt_mistake(const PasstProgram& program, const Mistake& mistake);

}  // namespace sluice::app
