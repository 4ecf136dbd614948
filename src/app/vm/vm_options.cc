#include "app/vm/vm_options.h"

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "app/guest/published_options.h"
#include "app/options/command.h"
#include "app/options/help.h"
#include "app/options/number_option.h"
#include "app/options/raw_options.h"
#include "sys/unix_socket.h"

namespace sluice::app {
namespace {

using link::FrameSocketKind;

struct PathOption {
  OptionId id;
  std::string_view name;
  FrameSocketKind kind;
};
constexpr PathOption kPathOptions[] = {
    {OptionId::kSocket, "--socket", FrameSocketKind::kStream},
    {OptionId::kDatagram, "--datagram", FrameSocketKind::kDatagram},
    {OptionId::kSeqpacket, "--seqpacket", FrameSocketKind::kSeqpacket},
};

constexpr std::pair<OptionId, std::string_view> kVhostUserOptions[] = {
    {OptionId::kVhostUser, "--vhost-user"},
    {OptionId::kVhostUserConnect, "--vhost-user-connect"},
};

[[nodiscard]] std::expected<void, Mistake> check_path(std::string_view name,
                                                      const std::string& path) {
  if (path.empty()) return fail("{}: the path is empty", name);
  if (path.size() > sys::kUnixPathMax) {
    return fail("{}: '{}' is too long for a socket; expected at most {} bytes", name, path,
                sys::kUnixPathMax);
  }
  return {};
}

[[nodiscard]] std::expected<serve::MachineLink, Mistake> read_path(const PathOption& option,
                                                                   const std::string& path) {
  if (auto ok = check_path(option.name, path); !ok) return std::unexpected(std::move(ok.error()));
  return serve::MachineSocketPath{option.kind, path};
}

[[nodiscard]] std::expected<serve::MachineLink, Mistake> read_vhost_user(const RawOptions& raw,
                                                                         OptionId id,
                                                                         std::string_view name) {
  serve::MachineVhostUser link{.path = raw.all(id).back()};
  if (id == OptionId::kVhostUserConnect) link.role = serve::MachineVhostUser::Role::kConnect;
  if (auto ok = check_path(name, link.path); !ok) {
    return std::unexpected(std::move(ok.error()));
  }
  if (raw.has(OptionId::kQueues)) {
    const auto queues = parse_number<std::uint16_t>("--queues", raw.all(OptionId::kQueues).back(),
                                                    1, serve::MachineVhostUser::kQueuesMax);
    if (!queues) return std::unexpected(queues.error());
    link.queues = *queues;
  }
  return link;
}

[[nodiscard]] std::expected<serve::MachineLink, Mistake> read_descriptor(const std::string& text) {
  constexpr int kMax = std::numeric_limits<int>::max();
  const auto fd = parse_number<int>("--fd", text, 0, kMax);
  if (!fd) return std::unexpected(fd.error());
  return serve::MachineDescriptor{*fd};
}

[[nodiscard]] std::expected<serve::MachineLink, Mistake> read_link(const RawOptions& raw) {
  std::optional<serve::MachineLink> link;
  std::string_view given;
  const auto take = [&](std::string_view name, auto read) -> std::expected<void, Mistake> {
    if (link) return fail("{} and {} exclude each other: a machine has one link", given, name);
    auto made = read();
    if (!made) return std::unexpected(std::move(made.error()));
    link = std::move(*made);
    given = name;
    return {};
  };
  for (const PathOption& option : kPathOptions) {
    if (!raw.has(option.id)) continue;
    const std::string& path = raw.all(option.id).back();
    if (auto ok = take(option.name, [&] { return read_path(option, path); }); !ok) {
      return std::unexpected(std::move(ok.error()));
    }
  }
  if (raw.has(OptionId::kFd)) {
    const std::string& text = raw.all(OptionId::kFd).back();
    if (auto ok = take("--fd", [&] { return read_descriptor(text); }); !ok) {
      return std::unexpected(std::move(ok.error()));
    }
  }
  for (const auto& [id, name] : kVhostUserOptions) {
    if (!raw.has(id)) continue;
    if (auto ok = take(name, [&] { return read_vhost_user(raw, id, name); }); !ok) {
      return std::unexpected(std::move(ok.error()));
    }
  }
  if (raw.has(OptionId::kQueues) &&
      (!link || !std::holds_alternative<serve::MachineVhostUser>(*link))) {
    return fail("--queues: only a machine that shares its memory has them; expected --vhost-user");
  }
  if (!link) {
    return fail(
        "nothing says by what the machine's frames come; expected --socket PATH (QEMU), "
        "--vhost-user PATH, --datagram PATH, --seqpacket PATH or --fd N");
  }
  return std::move(*link);
}

[[nodiscard]] std::uint16_t default_mtu(const serve::MachineLink& link) {
  const auto* const place = std::get_if<serve::MachineSocketPath>(&link);
  const bool packets = place != nullptr && place->kind != FrameSocketKind::kStream;
  // Larger than any segment are frames by vhost-user anyway, as the driver lets us offload.
  const bool shared = std::holds_alternative<serve::MachineVhostUser>(link);
  return packets || shared ? kPacketMtu : kStreamMtu;
}

// Each needs a queue of its own.
[[nodiscard]] std::expected<void, Mistake> check_workers(const VmOptions& options) {
  const std::uint32_t workers = options.workers.value_or(1);
  const auto* const shared = std::get_if<serve::MachineVhostUser>(&options.machine.link);
  if (workers > 1 && shared == nullptr) {
    return fail("--workers: a socket is served by one; expected 1, or --vhost-user");
  }
  if (shared != nullptr && workers > shared->queues) {
    return fail(
        "--workers: '{}' are more than the machine has pairs of queues; expected 1 to {}, "
        "or --queues {}",
        workers, shared->queues, workers);
  }
  return {};
}

[[nodiscard]] std::expected<void, Mistake> interpret(const RawOptions& raw, VmOptions& options) {
  if (!raw.words.empty()) {
    return fail("'{}' is no option; expected options only, as the machine is not ours to start",
                raw.words.front());
  }
  auto link = read_link(raw);
  if (!link) return std::unexpected(std::move(link.error()));
  options.machine.link = std::move(*link);
  if (raw.has(OptionId::kOneOff)) {
    if (raw.has(OptionId::kDatagram)) {
      return fail(
          "--one-off: nothing tells that who sends datagrams has left; expected it with "
          "--socket, --seqpacket or --vhost-user");
    }
    options.machine.guests = link::Guests::kOnlyOne;
  }
  if (raw.has(OptionId::kPidFile)) {
    options.machine.pid_file = raw.all(OptionId::kPidFile).back();
    if (options.machine.pid_file.empty()) return fail("--pid-file: the name of the file is empty");
  }
  if (auto ok = read_guest_options(raw, default_mtu(options.machine.link), options); !ok) return ok;
  if (auto ok = check_nothing_follows(options); !ok) return ok;
  return check_workers(options);
}

}  // namespace

std::expected<VmOptions, Mistake> read_vm_options(const RawOptions& raw) {
  VmOptions options;
  if (auto ok = interpret(raw, options); !ok) return std::unexpected(std::move(ok.error()));
  return options;
}

std::expected<VmOptions, EarlyExit> parse_vm_options(std::span<const char* const> arguments) {
  const auto wrong = [](const Mistake& mistake) {
    return std::unexpected(usage_error(kVmCommand.program, mistake));
  };
  auto raw = split_arguments(kVmCommand, arguments);
  if (!raw) return wrong(raw.error());
  if (const auto exit = help_or_version(kVmCommand, *raw)) return std::unexpected(*exit);
  auto options = read_vm_options(*raw);
  if (!options) return wrong(options.error());
  return std::move(*options);
}

}  // namespace sluice::app
