// A terminal that is drawn on as a whole: its other screen, keys one by one, and its size. What was
// there before comes back at the end. Not thread-safe.
#pragma once

#include <sys/types.h>
#include <termios.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "app/top/top_view.h"

namespace sluice::app {

class Terminal {
 public:
  // Standard input and output; nothing where one of them is no terminal.
  [[nodiscard]] static std::optional<Terminal> open();
  Terminal(Terminal&& other) noexcept;
  Terminal& operator=(Terminal&&) = delete;
  ~Terminal();

  [[nodiscard]] static TopSize size();
  // From the upper left corner on. False: nobody sees it any more.
  [[nodiscard]] bool draw(std::string_view screen);

  enum class Kind : char { kNone, kLetter, kUp, kDown, kEnter, kBack, kEscape, kGone };
  struct Key {
    Kind kind = Kind::kNone;  // None: time is up, or the size is another one.
    char letter = 0;
  };
  [[nodiscard]] Key wait_for_key(std::chrono::milliseconds limit);

 private:
  explicit Terminal(const termios& before) : before_(before) {}
  [[nodiscard]] Key next_key();

  termios before_;
  bool owned_ = true;
  std::string typed_;  // Bytes that were read and are no keys yet.
};

}  // namespace sluice::app
