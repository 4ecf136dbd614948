#include "app/box/box_options.h"

#include <algorithm>
#include <utility>

#include "app/guest/published_options.h"
#include "app/options/command.h"
#include "app/options/help.h"
#include "app/options/interface_name.h"
#include "app/options/number_option.h"
#include "app/options/raw_options.h"
#include "app/options/value_option.h"

namespace sluice::app {
namespace {

using Checked = std::expected<void, Mistake>;

constexpr std::uint16_t kBoxMtu = 1500;  // Offloads make larger ones unnecessary.
// Memory is given in these: they are what page tables of guest and host are quickest with.
constexpr std::uint64_t kMemoryUnit = std::uint64_t{2} << 20U;

Checked read_machine(const RawOptions& raw, BoxOptions& options) {
  if (raw.has(OptionId::kCpus)) {
    const auto cpus = parse_number<std::uint32_t>("--cpus", raw.all(OptionId::kCpus).back(), 1,
                                                  serve::BoxPlan::kCpusMax);
    if (!cpus) return std::unexpected(cpus.error());
    options.cpus = *cpus;
  }
  if (raw.has(OptionId::kMemory)) {
    const auto memory =
        parse_size("--memory", raw.all(OptionId::kMemory).back(), kBoxMemoryMin, kBoxMemoryMax);
    if (!memory) return std::unexpected(memory.error());
    options.memory = (*memory + kMemoryUnit - 1) / kMemoryUnit * kMemoryUnit;
  }
  options.box.fetch_kernel = raw.has(OptionId::kFetchKernel);
  for (const std::string& text : raw.all(OptionId::kKernel)) {
    if (text.empty()) return fail("--kernel: the name of the file is empty");
    options.box.kernel = text;
  }
  return {};
}

Checked read_share(std::string_view text, BoxOptions& options) {
  auto share = parse_share(text);
  if (!share) return std::unexpected(std::move(share.error()));
  auto& shares = options.box.shares;
  if (shares.size() == serve::BoxPlan::kSharesMax) {
    return fail("--share: '{}' is one too many; expected {} at most", text,
                serve::BoxPlan::kSharesMax);
  }
  shares.push_back(std::move(*share));
  return {};
}

Checked read_files(const RawOptions& raw, BoxOptions& options) {
  for (const std::string& text : raw.all(OptionId::kShare)) {
    if (auto ok = read_share(text, options); !ok) return ok;
  }
  for (const std::string& text : raw.all(OptionId::kRoot)) {
    if (text.empty()) return fail("--root: the path is empty");
    options.box.root = text;
  }
  return {};
}

Checked read_command(const RawOptions& raw, BoxOptions& options) {
  options.box.as_root = raw.has(OptionId::kAsRoot);
  for (const std::string& text : raw.all(OptionId::kEnv)) {
    if (text.find('=') == std::string::npos || text.front() == '=') {
      return fail("--env: '{}' sets nothing; expected NAME=VALUE", text);
    }
    options.box.environment.push_back(text);
  }
  for (const std::string& text : raw.all(OptionId::kWorkdir)) {
    if (!text.starts_with('/')) {
      return fail("--workdir: '{}' is no absolute path; expected one as /src, in the machine",
                  text);
    }
    options.box.workdir = text;
  }
  return {};
}

Checked read_fast_path(const RawOptions& raw) {
  for (const std::string& text : raw.all(OptionId::kFastPath)) {
    if (text == "auto" || text == "off") continue;
    if (text == "require") {
      return fail(
          "--fast-path: 'require' cannot be had of a machine, whose kernel is not this one; "
          "expected auto or off, or 'sluice run'");
    }
    return fail("--fast-path: '{}' is unknown; expected auto or off", text);
  }
  return {};
}

Checked read_link(const RawOptions& raw, BoxOptions& options) {
  for (const std::string& text : raw.all(OptionId::kInterface)) {
    if (!is_interface_name(text) || text == "lo") {
      return fail(
          "--interface: '{}' cannot name the guest's interface; expected 1 to 15 characters "
          "without '/', ':', '%' or spaces, and not 'lo'",
          text);
    }
    options.box.interface = text;
  }
  // Each worker needs a pair of queues of its own.
  const std::uint32_t workers = options.workers.value_or(1);
  options.box.net_queues = static_cast<std::uint16_t>(workers);
  for (const std::string& text : raw.all(OptionId::kNetQueues)) {
    const auto queues =
        parse_number<std::uint16_t>("--net-queues", text, 1, serve::BoxPlan::kNetQueuesMax);
    if (!queues) return std::unexpected(queues.error());
    options.box.net_queues = *queues;
  }
  if (workers > options.box.net_queues) {
    return fail(
        "--workers: '{}' are more than the machine has pairs of queues; expected 1 to {}, "
        "or --net-queues {}",
        workers, options.box.net_queues, workers);
  }
  return read_fast_path(raw);
}

Checked interpret(RawOptions& raw, std::string_view shell, BoxOptions& options) {
  if (auto ok = read_guest_options(raw, kBoxMtu, options); !ok) return ok;
  if (auto ok = check_nothing_follows(options); !ok) return ok;
  if (auto ok = read_machine(raw, options); !ok) return ok;
  if (auto ok = read_files(raw, options); !ok) return ok;
  if (auto ok = read_command(raw, options); !ok) return ok;
  if (auto ok = read_link(raw, options); !ok) return ok;
  std::vector<std::string>& command = options.box.command;
  command = std::move(raw.words);
  if (command.empty()) {
    const bool foreign = raw.has(OptionId::kRoot);
    command.emplace_back(shell.empty() || foreign ? "/bin/sh" : shell);
  }
  if (command.front().empty()) {
    return fail("the command's name is empty; expected a program, as in 'sluice box -- make'");
  }
  return {};
}

}  // namespace

std::uint32_t default_cpus(std::uint32_t usable_cores) {
  return std::clamp<std::uint32_t>(usable_cores, 1, kBoxCpusDefault);
}

std::uint64_t default_memory(std::uint64_t physical) {
  const std::uint64_t half = physical / 2 / kMemoryUnit * kMemoryUnit;
  return std::clamp(half, kBoxMemoryMin, kBoxMemoryDefault);
}

std::expected<serve::BoxShare, Mistake> parse_share(std::string_view text) {
  const auto wrong = [text] {
    return fail("--share: '{}' is no folder to share; expected PATH, PATH:rw or PATH:TARGET:rw",
                text);
  };
  serve::BoxShare share;
  std::string_view rest = text;
  if (rest.ends_with(":rw") || rest.ends_with(":ro")) {
    share.writable = rest.ends_with(":rw");
    rest.remove_suffix(3);
  }
  const std::size_t colon = rest.find(':');
  share.path = rest.substr(0, colon);
  share.target = colon == std::string_view::npos ? rest : rest.substr(colon + 1);
  if (share.path.empty() || share.target.empty()) return wrong();
  if (share.target.find(':') != std::string::npos) return wrong();
  if (colon != std::string_view::npos && !share.target.starts_with('/')) {
    return fail("--share: '{}' is no absolute path in the machine; expected one as /src",
                share.target);
  }
  return share;
}

std::expected<BoxOptions, EarlyExit> parse_box_options(std::span<const char* const> arguments,
                                                       std::string_view shell) {
  const auto wrong = [](const Mistake& mistake) {
    return std::unexpected(usage_error(kBoxCommand.program, mistake));
  };
  auto raw = split_arguments(kBoxCommand, arguments);
  if (!raw) return wrong(raw.error());
  if (const auto exit = help_or_version(kBoxCommand, *raw)) return std::unexpected(*exit);
  BoxOptions options;
  if (auto ok = interpret(*raw, shell, options); !ok) return wrong(ok.error());
  return options;
}

}  // namespace sluice::app
