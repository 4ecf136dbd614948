// The command line of a lab program: positional words, `--name value` (or `--name=value`) options
// and flags. A mistake ends the program with exit status 2 and a line that names it; `--help`
// prints what the program measures and ends it with 0.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::bench {

// What --help prints.
struct Manual {
  std::string synopsis;  // Its first word is the program's name.
  std::string text;      // What is measured, options, output fields, an example.
};

class Arguments {
 public:
  // `valued` and `flags` list the options that are known, with their dashes.
  Arguments(int argc, char** argv, Manual manual, const std::vector<std::string_view>& valued,
            const std::vector<std::string_view>& flags)
      : manual_(std::move(manual)) {
    for (int i = 1; i < argc; ++i) {
      const std::string_view word = argv[i];
      const std::string_view name = word.substr(0, word.find('='));
      if (word == "--help" || word == "-h") {
        print_help();
      } else if (!word.starts_with("--")) {
        positional_.push_back(word);
      } else if (contains(flags, word)) {
        options_.push_back({word, {}});
      } else if (!contains(valued, name)) {
        fail("unknown option", word);
      } else if (name.size() < word.size()) {
        options_.push_back({name, word.substr(name.size() + 1)});
      } else if (i + 1 < argc) {
        options_.push_back({name, argv[++i]});
      } else {
        fail("a value is missing after", word);
      }
    }
  }

  void require_positional(std::size_t least, std::size_t most) const {
    if (positional_.size() > most) fail("one word too many:", positional_[most]);
    if (positional_.size() >= least) return;
    fail("words are missing after",
         positional_.empty() ? program() : std::string(positional_.back()));
  }
  void require_positional(std::size_t count) const { require_positional(count, count); }

  [[nodiscard]] std::size_t positional_count() const { return positional_.size(); }
  [[nodiscard]] std::string text(std::size_t position) const {
    return std::string(positional_[position]);
  }
  [[nodiscard]] std::uint64_t number(std::size_t position) const {
    return parse(positional_[position]);
  }
  [[nodiscard]] std::uint64_t port(std::size_t position) const {
    return parse_port(positional_[position]);
  }

  [[nodiscard]] bool has(std::string_view name) const { return find(name) != nullptr; }
  [[nodiscard]] std::string_view text(std::string_view name, std::string_view fallback) const {
    const Option* option = find(name);
    return option == nullptr ? fallback : option->value;
  }
  [[nodiscard]] std::uint64_t number(std::string_view name, std::uint64_t fallback) const {
    const Option* option = find(name);
    return option == nullptr ? fallback : parse(option->value);
  }
  // As number(), but a value outside least…most is a mistake.
  [[nodiscard]] std::uint64_t number(std::string_view name, std::uint64_t fallback,
                                     std::uint64_t least, std::uint64_t most) const {
    const std::uint64_t value = number(name, fallback);
    if (value >= least && value <= most) return value;
    const std::string wanted =
        std::string(name) + " must be " + std::to_string(least) + " to " + std::to_string(most);
    fail(wanted + ", not", std::to_string(value));
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
    std::fprintf(stderr, "%s: %.*s '%.*s'\nusage: %s\n`%s --help` explains.\n", program().c_str(),
                 static_cast<int>(what.size()), what.data(), static_cast<int>(word.size()),
                 word.data(), manual_.synopsis.c_str(), program().c_str());
    std::exit(2);
  }

  [[nodiscard]] std::uint64_t parse(std::string_view word) const {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc{} || end != word.data() + word.size()) {
      fail("expected a whole number, not", word);
    }
    return value;
  }
  [[nodiscard]] std::uint64_t parse_port(std::string_view word) const {
    const std::uint64_t value = parse(word);
    if (value == 0 || value > 65535) fail("expected a port, 1 to 65535, not", word);
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
  // The last one given counts.
  [[nodiscard]] const Option* find(std::string_view name) const {
    for (auto option = options_.rbegin(); option != options_.rend(); ++option) {
      if (option->name == name) return &*option;
    }
    return nullptr;
  }
  [[nodiscard]] std::string program() const {
    return manual_.synopsis.substr(0, manual_.synopsis.find(' '));
  }
  [[noreturn]] void print_help() const {
    std::printf("usage: %s\n\n%s", manual_.synopsis.c_str(), manual_.text.c_str());
    std::exit(0);
  }

  Manual manual_;
  std::vector<std::string_view> positional_;
  std::vector<Option> options_;
};

}  // namespace sluice::bench
