#include "config/messages.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace sluice::config {
namespace {

// By line, and on one line as they were met. (std::stable_sort of libstdc++ 12 is built on what
// clang calls deprecated.)
std::vector<ConfigMessage> in_order(std::vector<ConfigMessage>&& messages) {
  std::vector<std::pair<unsigned, std::size_t>> order;
  order.reserve(messages.size());
  for (const ConfigMessage& message : messages) {
    order.emplace_back(message.where.line, order.size());
  }
  std::sort(order.begin(), order.end());
  std::vector<ConfigMessage> sorted;
  sorted.reserve(messages.size());
  for (const auto& [line, index] : order) sorted.push_back(std::move(messages[index]));
  messages.clear();
  return sorted;
}

}  // namespace

std::string ConfigMessage::describe() const {
  if (where.file.empty()) return text;
  if (where.line == 0) return fmt::format("{}: {}", where.file, text);
  return fmt::format("{}:{}: {}", where.file, where.line, text);
}

void Messages::error(unsigned line, std::string text) {
  errors_.push_back({{file_, line}, std::move(text)});
}

void Messages::warn(unsigned line, std::string text) {
  warnings_.push_back({{file_, line}, std::move(text)});
}

ConfigErrors Messages::take_all() {
  errors_.insert(errors_.end(), std::make_move_iterator(warnings_.begin()),
                 std::make_move_iterator(warnings_.end()));
  warnings_.clear();
  return in_order(std::move(errors_));
}

std::vector<ConfigMessage> Messages::take_warnings() { return in_order(std::move(warnings_)); }

std::string quoted(std::string_view text) {
  constexpr std::size_t kShown = 80;
  std::string out = "'";
  for (const char c : text.substr(0, kShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  out += text.size() > kShown ? "…'" : "'";
  return out;
}

}  // namespace sluice::config
