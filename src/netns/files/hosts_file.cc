#include "netns/files/hosts_file.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace sluice::netns {
namespace {

std::vector<std::string_view> words_of(std::string_view line) {
  line = line.substr(0, line.find('#'));
  std::vector<std::string_view> words;
  constexpr std::string_view kBlank = " \t\r";
  while (true) {
    const std::size_t start = line.find_first_not_of(kBlank);
    if (start == std::string_view::npos) return words;
    const std::size_t end = std::min(line.find_first_of(kBlank, start), line.size());
    words.push_back(line.substr(start, end - start));
    line.remove_prefix(end);
  }
}

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

// Names of the loopback interface, whatever else its line has.
bool is_loopbacks(std::string_view name) {
  return same_name(name.substr(0, 9), "localhost") || same_name(name.substr(0, 4), "ip6-");
}

}  // namespace

std::string hosts_with(std::string_view text, std::string_view name,
                       std::span<const wire::IpAddress> addresses) {
  std::vector<std::string_view> own;
  std::string others;
  const auto add_own = [&own](std::string_view word) {
    if (std::ranges::find(own, word) == own.end()) own.push_back(word);
  };
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::vector<std::string_view> words = words_of(line);
    const auto is_own = [name](std::string_view word) { return same_name(word, name); };
    if (words.empty() || std::none_of(words.begin() + 1, words.end(), is_own)) {
      others.append(line).append("\n");
      continue;
    }
    std::string rest;
    for (auto word = words.begin() + 1; word != words.end(); ++word) {
      if (is_loopbacks(*word)) {
        rest.append(" ").append(*word);
      } else {
        add_own(*word);
      }
    }
    if (!rest.empty()) others.append(words.front()).append(rest).append("\n");
  }
  if (std::ranges::none_of(own, [name](auto word) { return same_name(word, name); })) {
    add_own(name);
  }
  std::string result;
  for (const wire::IpAddress& address : addresses) {
    result += wire::to_string(address);
    for (const std::string_view word : own) result.append(" ").append(word);
    result += '\n';
  }
  return result + others;
}

}  // namespace sluice::netns
