#include "app/compat/getopt_words.h"

#include <algorithm>
#include <utility>

namespace sluice::app {
namespace {

// What getopt_long() gives for a name: the option's number above every letter.
constexpr int kNumbered = 256;

}  // namespace

GetoptWords::GetoptWords(std::span<const char* const> words, std::vector<GetoptOption> options,
                         GetoptWordsAre words_are)
    : options_(std::move(options)), letters_(words_are == GetoptWordsAre::kLast ? "+" : "") {
  // getopt sorts the words, never their letters.
  words_.reserve(words.size() + 1);
  for (const char* const word : words) words_.push_back(const_cast<char*>(word));
  words_.push_back(nullptr);
  int number = kNumbered;
  for (const GetoptOption& one : options_) {
    const int argument = one.has_value ? required_argument : no_argument;
    names_.push_back({one.name, argument, nullptr, number++});
    if (one.letter == 0) continue;
    letters_ += one.letter;
    if (one.has_value) letters_ += ':';
  }
  names_.push_back({nullptr, 0, nullptr, 0});
  ::optind = 0;  // Begin anew, also after another command line.
}

std::expected<std::optional<GetoptWords::Found>, EarlyExit> GetoptWords::next() {
  const int count = static_cast<int>(words_.size()) - 1;
  const int found = ::getopt_long(count, words_.data(), letters_.c_str(), names_.data(), nullptr);
  if (found == -1) return std::nullopt;
  if (found == '?') return std::unexpected(EarlyExit{"", 1});
  // getopt gives no letter but those that it was told of.
  const auto option = found >= kNumbered ? options_.begin() + (found - kNumbered)
                                         : std::ranges::find(options_, static_cast<char>(found),
                                                             &GetoptOption::letter);
  const char* const text = option->has_value ? ::optarg : "";
  return Found{static_cast<std::size_t>(option - options_.begin()), text};
}

std::vector<std::string> GetoptWords::others() const {
  return {words_.begin() + ::optind, words_.end() - 1};
}

}  // namespace sluice::app
