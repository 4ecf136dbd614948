#include "app/compat/pasta/pasta_options.h"

#include <fmt/core.h>

#include <utility>

#include "app/attach/target_words.h"
#include "app/compat/passt_draft.h"
#include "app/compat/passt_words.h"
#include "app/compat/pasta/pasta_option_table.h"

namespace sluice::app {
namespace {

// As pasta's: what holds a packet as long as can be is the fewest packets.
constexpr const char* kMtuDefault = "65520";

const PasstProgram& pasta() {
  static const PasstProgram program{
      .name = "pasta",
      .about =
          "Usage: pasta [OPTION]... [COMMAND [ARG]...]\n"
          "       pasta [OPTION]... PID\n"
          "       pasta [OPTION]... --netns PATH|NAME\n\n"
          "The network of a command in namespaces of its own, or of a namespace that is there\n"
          "already. This is sluice in the place of pasta; 'sluice run --help' and 'sluice attach\n"
          "--help' say what it can do besides. The guest has a network of its own, 10.0.2.15/24\n"
          "if nothing else is said, and pasta's ways to the host: its loopback behind the\n"
          "gateway, its addresses.\n",
      .options = pasta_options(),
      .words = GetoptWordsAre::kLast};
  return program;
}

using Target = std::variant<PastaCommand, netns::TargetNames>;

[[nodiscard]] std::expected<Target, Mistake> existing(const PastaNamespaceWords& given,
                                                      const std::vector<std::string>& words) {
  netns::TargetNames names{.user = given.user, .only_network = given.only_network};
  if (!given.network.empty()) {
    if (!words.empty()) {
      return fail("'{}': --netns names the namespace already; expected one of them", words.front());
    }
    names.network = network_path(given.network);
    return names;
  }
  const auto process = parse_process("PID", words.front());
  if (!process) return std::unexpected(process.error());
  names.process = *process;
  return names;
}

[[nodiscard]] std::expected<Target, Mistake> target_of(const PastaNamespaceWords& given,
                                                       std::vector<std::string> words,
                                                       std::string_view shell) {
  if (given.only_network && !given.user.empty()) {
    return fail("--netns-only and --userns exclude each other");
  }
  const bool is_process = words.size() == 1 && is_process_word(words.front());
  if (!given.network.empty() || is_process) return existing(given, words);
  if (!given.user.empty()) {
    return fail("--userns: a command gets a user namespace of its own; expected --netns or PID");
  }
  if (given.stays) {
    return fail("--no-netns-quit: a command's namespace ends with it; expected --netns or PID");
  }
  if (words.empty()) words.emplace_back(shell.empty() ? "/bin/sh" : shell);
  if (words.front().empty()) return fail("the command's name is empty; expected a program");
  return PastaCommand{std::move(words)};
}

// As pasta's defaults, which Podman and others switch off by "none". Who says that no address
// stands for the host's loopback (as rootlesskit does for --disable-host-loopback) gets no way to
// it that he did not name: pasta leaves this one open.
void follow_by_default(PasstDraft& draft) {
  const bool named = draft.raw.has(OptionId::kTcpNs) || draft.raw.has(OptionId::kUdpNs);
  if (!named && !draft.map_gateway) {
    draft.differs("-T and -U are none with --no-map-gw, not auto; they name what may pass");
  } else if (!named && draft.target.splices) {
    draft.value(OptionId::kTcpNs, "auto");
    draft.value(OptionId::kUdpNs, "auto");
  }
  if (draft.tcp_given || draft.udp_given) return;
  for (const auto protocol : {policy::Protocol::kTcp, policy::Protocol::kUdp}) {
    draft.follow.emplace_back().like.protocol = protocol;
  }
}

// What of the program is another than pasta's, whatever was said.
void tell_differences(PasstDraft& draft, const Target& target) {
  if (!draft.raw.has(OptionId::kInterface)) {
    draft.differs("the interface is tap0, not called as the host's; --ns-ifname names it");
  }
  if (draft.raw.has(OptionId::kTcpNs) != draft.raw.has(OptionId::kUdpNs)) {
    draft.differs("where one of -T and -U is given the other is none");
  }
  if (draft.target.splices && !draft.raw.has(OptionId::kHostLoToNsLo)) {
    draft.differs(
        "what comes from the host's loopback ends at the namespace's loopback where nobody waits "
        "at its address");
  }
  if (!std::holds_alternative<PastaCommand>(target)) return;
  draft.differs("COMMAND finds our DNS address in its /etc/resolv.conf");
  draft.differs("COMMAND shares the host's IPC and UTS namespaces");
}

[[nodiscard]] std::expected<PastaOptions, Mistake> finish(PasstDraft draft,
                                                          std::vector<std::string> words,
                                                          std::string_view shell) {
  auto target = target_of(draft.target, std::move(words), shell);
  if (!target) return std::unexpected(std::move(target.error()));
  if (!draft.raw.has(OptionId::kMtu)) draft.value(OptionId::kMtu, kMtuDefault);
  add_address_words(draft);
  follow_by_default(draft);
  NamespaceOptions guest;
  if (auto ok = read_namespace_options(draft.raw, guest); !ok) {
    return std::unexpected(std::move(ok.error()));
  }
  if (auto ok = complete_guest(draft, guest); !ok) return std::unexpected(std::move(ok.error()));
  if (guest.network.guest_mac == guest.network.gateway_mac) {
    return fail("--ns-mac-addr: '{}' is the gateway's; expected another, or another --mac-addr",
                wire::to_string(guest.network.guest_mac));
  }
  tell_differences(draft, *target);
  if (std::holds_alternative<PastaCommand>(*target)) draft.done.foreground = true;
  // What has its addresses from us is not to get others by advertisements.
  if (draft.target.configures) guest.network.services.router_advertisements = false;
  // Without an address the kernel has nothing to carry.
  if (!draft.target.configures || !draft.target.splices) {
    guest.fast_path = policy::FastPathUse::kOff;
  }
  if (!draft.target.splices) guest.call_guest = policy::LoopbackUse::kNever;
  return PastaOptions{std::move(draft.done),   std::move(guest),          std::move(*target),
                      draft.target.configures, draft.target.only_network, draft.target.stays};
}

}  // namespace

std::expected<PastaOptions, EarlyExit> parse_pasta_options(std::span<const char* const> words,
                                                           std::string_view shell) {
  PasstDraft draft;
  // passt(1): "In pasta mode".
  draft.services.tells_resolvers = false;
  draft.services.tells_search_domains = false;
  auto rest = read_passt_words(pasta(), words, draft);
  if (!rest) return std::unexpected(rest.error());
  auto options = finish(std::move(draft), std::move(*rest), shell);
  if (!options) return std::unexpected(passt_mistake(pasta(), options.error()));
  return std::move(*options);
}

}  // namespace sluice::app
