// Mistakes and doubts met while a configuration is read: collected, so that a person sees all of
// them at once.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/forward_config.h"

namespace sluice::config {

class Messages {
 public:
  explicit Messages(std::string file) : file_(std::move(file)) {}

  // Line 0: of the file as a whole.
  void error(unsigned line, std::string text);
  void warn(unsigned line, std::string text);

  [[nodiscard]] bool any_error() const { return !errors_.empty(); }
  [[nodiscard]] const std::string& file() const { return file_; }

  // In the order of their lines.
  // Errors with the warnings among them: a key that is not known often is why another is missing.
  [[nodiscard]] ConfigErrors take_all();
  [[nodiscard]] std::vector<ConfigMessage> take_warnings();

 private:
  std::string file_;
  std::vector<ConfigMessage> errors_;
  std::vector<ConfigMessage> warnings_;
};

// 'text', fit for a terminal: control characters as \xNN, cut with an ellipsis at 80 bytes.
[[nodiscard]] std::string quoted(std::string_view text);

}  // namespace sluice::config
