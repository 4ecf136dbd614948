// The first words: which program we are, and which command is meant.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

#include "app/options/command.h"
#include "app/options/early_exit.h"

namespace sluice::app {

// By whose name we were called, through a symbolic link for instance.
enum class Program : std::uint8_t { kSluice, kRinetd, kOi, kPasst, kPasta, kSlirp4netns };

// `path` is argv[0]; its last part decides, and what is unknown is kSluice.
[[nodiscard]] Program program_called(std::string_view path);

struct Invocation {
  CommandId command;
  std::span<const char* const> arguments;  // Behind the command's name.
};

// `arguments` are those after the program's name. Help, version and mistakes are an early exit.
[[nodiscard]] std::expected<Invocation, EarlyExit> parse_command_line(
    std::span<const char* const> arguments);

}  // namespace sluice::app
