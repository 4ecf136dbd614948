// The words of a command line, taken apart by getopt_long(3) as programs of C do it: options may be
// shortened, letters put together, and words that are no options stand among them.
#pragma once

#include <getopt.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/options/early_exit.h"

namespace sluice::app {

struct GetoptOption {
  const char* name;
  char letter;  // 0: none.
  bool has_value;
};

// Where words that are no options may stand.
enum class GetoptWordsAre : std::uint8_t {
  kAnywhere,
  kLast,  // The first one ends the options: it may be a command, with options of its own.
};

// What getopt is to know of a table of options.
template <typename Table>
[[nodiscard]] std::vector<GetoptOption> getopt_options(const Table& table) {
  std::vector<GetoptOption> options;
  for (const auto& one : table) {
    options.push_back({one.name, one.letter, one.value != nullptr});
  }
  return options;
}

// getopt has one state for the whole process: one of these at a time.
class GetoptWords {
 public:
  struct Found {
    std::size_t number;     // In the options.
    std::string_view text;  // Its value; empty of a flag.
  };

  // `words` is the whole command line, argv[0] first. Neither these nor names are copied.
  GetoptWords(std::span<const char* const> words, std::vector<GetoptOption> options,
              GetoptWordsAre words_are);

  // Nothing behind the last. Of what is no option getopt has printed that, and code 1 is all that
  // the exit has to say.
  [[nodiscard]] std::expected<std::optional<Found>, EarlyExit> next();
  // Those that are no options, once next() has found the last one.
  [[nodiscard]] std::vector<std::string> others() const;

 private:
  std::vector<char*> words_;  // A null last, as argv has it.
  std::vector<GetoptOption> options_;
  std::vector<option> names_;  // As getopt takes them.
  std::string letters_;
};

}  // namespace sluice::app
