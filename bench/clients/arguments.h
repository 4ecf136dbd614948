// The command line of a lab program: positional words and `--name value` options. A mistake ends
// the program with exit status 2 and one line that names it.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::bench {

class Arguments {
 public:
  // `valued` and `flags` list the options that are known, with their dashes.
  Arguments(int argc, char** argv, std::string usage, const std::vector<std::string_view>& valued,
            const std::vector<std::string_view>& flags)
      : usage_(std::move(usage)) {
    for (int i = 1; i < argc; ++i) {
      const std::string_view word = argv[i];
      if (!word.starts_with("--")) {
        positional_.push_back(word);
      } else if (contains(flags, word)) {
        options_.push_back({word, {}});
      } else if (contains(valued, word) && i + 1 < argc) {
        options_.push_back({word, argv[++i]});
      } else {
        fail(contains(valued, word) ? "a value is missing after" : "unknown option", word);
      }
    }
  }

  void require_positional(std::size_t count) const {
    if (positional_.size() != count) fail("wrong number of words in", "the command line");
  }

  [[nodiscard]] std::string text(std::size_t position) const {
    return std::string(positional_[position]);
  }
  [[nodiscard]] std::uint64_t number(std::size_t position) const {
    return parse(positional_[position]);
  }

  [[nodiscard]] bool has(std::string_view name) const { return find(name) != nullptr; }
  [[nodiscard]] std::uint64_t number(std::string_view name, std::uint64_t fallback) const {
    const Option* option = find(name);
    return option == nullptr ? fallback : parse(option->value);
  }
  // Every value given for an option that may be repeated.
  [[nodiscard]] std::vector<std::string_view> all(std::string_view name) const {
    std::vector<std::string_view> values;
    for (const Option& option : options_) {
      if (option.name == name) values.push_back(option.value);
    }
    return values;
  }

  [[noreturn]] void fail(std::string_view what, std::string_view word) const {
    std::fprintf(stderr, "%.*s '%.*s'\nusage: %s\n", static_cast<int>(what.size()), what.data(),
                 static_cast<int>(word.size()), word.data(), usage_.c_str());
    std::exit(2);
  }

  [[nodiscard]] std::uint64_t parse(std::string_view word) const {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc{} || end != word.data() + word.size()) fail("not a number:", word);
    return value;
  }

 private:
  struct Option {
    std::string_view name;
    std::string_view value;
  };

  static bool contains(const std::vector<std::string_view>& names, std::string_view word) {
    for (const std::string_view name : names) {
      if (name == word) return true;
    }
    return false;
  }
  [[nodiscard]] const Option* find(std::string_view name) const {
    for (const Option& option : options_) {
      if (option.name == name) return &option;
    }
    return nullptr;
  }

  std::string usage_;
  std::vector<std::string_view> positional_;
  std::vector<Option> options_;
};

}  // namespace sluice::bench
