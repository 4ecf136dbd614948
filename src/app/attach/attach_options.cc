#include "app/attach/attach_options.h"

#include <limits>

#include "app/attach/target_words.h"
#include "app/options/command.h"
#include "app/options/help.h"
#include "app/options/number_option.h"
#include "app/options/raw_options.h"

namespace sluice::app {
namespace {

using Checked = std::expected<void, Mistake>;

Checked read_target(const RawOptions& raw, netns::TargetNames& target) {
  if (raw.has(OptionId::kUserns)) {
    target.user = raw.all(OptionId::kUserns).back();
    if (target.user.empty()) return fail("--userns: the path is empty");
  }
  if (raw.has(OptionId::kNetns)) {
    target.network = raw.all(OptionId::kNetns).back();
    if (target.network.empty()) return fail("--netns: the path is empty");
    if (raw.words.empty()) return {};
    return fail("'{}': --netns names the namespace already; expected one of them",
                raw.words.front());
  }
  if (raw.words.empty()) {
    return fail(
        "nothing says which namespace is meant; expected the number of a process, a path as "
        "/proc/PID/ns/net, or a name of 'ip netns list'");
  }
  if (raw.words.size() > 1) {
    return fail("'{}': only one namespace is served at a time; expected one TARGET, '{}'",
                raw.words[1], raw.words.front());
  }
  const std::string& word = raw.words.front();
  if (is_process_word(word)) {
    const auto process = parse_process("TARGET", word);
    if (!process) return std::unexpected(process.error());
    target.process = *process;
    return {};
  }
  if (word.empty()) return fail("TARGET is empty; expected a process, a path or a name");
  target.network = network_path(word);
  return {};
}

Checked read_descriptor(const RawOptions& raw, OptionId id, std::string_view name,
                        std::optional<int>& fd) {
  if (!raw.has(id)) return {};
  const auto number =
      parse_number<int>(name, raw.all(id).back(), 0, std::numeric_limits<int>::max());
  if (!number) return std::unexpected(number.error());
  fd = *number;
  return {};
}

}  // namespace

std::expected<AttachOptions, EarlyExit> parse_attach_options(
    std::span<const char* const> arguments) {
  const auto wrong = [](const Mistake& mistake) {
    return std::unexpected(usage_error(kAttachCommand.program, mistake));
  };
  auto raw = split_arguments(kAttachCommand, arguments);
  if (!raw) return wrong(raw.error());
  if (const auto exit = help_or_version(kAttachCommand, *raw)) return std::unexpected(*exit);

  AttachOptions options;
  options.background = raw->has(OptionId::kBackground);
  if (auto ok = read_target(*raw, options.target); !ok) return wrong(ok.error());
  if (raw->has(OptionId::kPidFile)) {
    options.pid_file = raw->all(OptionId::kPidFile).back();
    if (options.pid_file.empty()) return wrong({"--pid-file: the name of the file is empty"});
  }
  if (auto ok = read_descriptor(*raw, OptionId::kReadyFd, "--ready-fd", options.ready_fd); !ok) {
    return wrong(ok.error());
  }
  if (auto ok = read_descriptor(*raw, OptionId::kExitFd, "--exit-fd", options.exit_fd); !ok) {
    return wrong(ok.error());
  }
  if (options.ready_fd && options.ready_fd == options.exit_fd) {
    return wrong({"--exit-fd: this is the descriptor of --ready-fd; expected another"});
  }
  if (auto ok = read_namespace_options(*raw, options); !ok) return wrong(ok.error());
  return options;
}

}  // namespace sluice::app
