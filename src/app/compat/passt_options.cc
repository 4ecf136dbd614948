#include "app/compat/passt_options.h"

#include <fmt/core.h>

#include <utility>
#include <variant>

#include "app/compat/passt_draft.h"
#include "app/compat/passt_option_table.h"
#include "app/compat/passt_words.h"
#include "app/guest/published_options.h"

namespace sluice::app {
namespace {

PasstTaken read_repair_path(PasstDraft& draft, PasstGiven given) {
  if (given.text == "none") return {};
  draft.differs(fmt::format("{} {}: connections do not move along when the guest migrates",
                            given.option, given.text));
  return {};
}

constexpr PasstOption kOptions[] = {
    {"socket", 's', "PATH",
     "QEMU connects there (default: the first free one of\n"
     "/tmp/passt_1.socket to /tmp/passt_64.socket)",
     [](PasstDraft& draft, PasstGiven given) {
       draft.machine.socket = given.text;
       return PasstTaken();
     }},
    {"socket-path", 0, "PATH", "",
     [](PasstDraft& draft, PasstGiven given) {
       draft.machine.socket = given.text;
       return PasstTaken();
     }},
    {"vhost-user", 0, nullptr, "the socket speaks vhost-user",
     [](PasstDraft& draft, PasstGiven) {
       draft.machine.vhost_user = true;
       return PasstTaken();
     }},
    {"repair-path", 0, "PATH", "", read_repair_path},
    {"fd", 'F', "FD", "a socket that is connected already", pass_on<OptionId::kFd>},
    {"one-off", '1', nullptr, "end with the first guest", pass_on<OptionId::kOneOff>},
    {"tcp-ports", 't', "PORTS",
     "lead ports of the host to the guest's: none, all,\n"
     "22,8080:80,2000-2010,~2005, ADDRESS%INTERFACE/22",
     [](PasstDraft& draft, PasstGiven given) {
       return take_ports(draft, given, policy::Protocol::kTcp);
     }},
    {"udp-ports", 'u', "PORTS", "the same of UDP (default: those of -t, as they are)",
     [](PasstDraft& draft, PasstGiven given) {
       return take_ports(draft, given, policy::Protocol::kUdp);
     }},
};

constexpr PasstProgram kPasst{
    .name = "passt",
    .about =
        "Usage: passt [OPTION]...\n\n"
        "The network of a virtual machine. This is sluice in the place of passt; 'sluice vm "
        "--help'\n"
        "says what it can do besides. The guest has a network of its own, 10.0.2.15/24 if nothing\n"
        "else is said, and passt's ways to the host: its loopback behind the gateway, its "
        "addresses.\n",
    .options = kOptions,
    .words = GetoptWordsAre::kAnywhere};

void add_link_words(PasstDraft& draft) {
  // A socket that was passed is one guest's.
  if (draft.raw.has(OptionId::kFd)) {
    if (!draft.raw.has(OptionId::kOneOff)) draft.flag(OptionId::kOneOff);
  } else {
    draft.value(draft.machine.vhost_user ? OptionId::kVhostUser : OptionId::kSocket,
                draft.machine.socket.value_or(""));
  }
}

[[nodiscard]] std::expected<PasstOptions, Mistake> finish(PasstDraft draft) {
  add_address_words(draft);
  add_link_words(draft);
  auto vm = read_vm_options(draft.raw);
  if (!vm) return std::unexpected(std::move(vm.error()));
  if (const auto* const given = std::get_if<serve::MachineDescriptor>(&vm->machine.link);
      given != nullptr && draft.machine.vhost_user) {
    vm->machine.link =
        serve::MachineVhostUser{.role = serve::MachineVhostUser::Role::kGiven, .fd = given->fd};
    // As at a socket of ours.
    if (!draft.raw.has(OptionId::kMtu)) vm->network.mtu = kPacketMtu;
  }
  if (auto ok = complete_guest(draft, *vm); !ok) return std::unexpected(std::move(ok.error()));
  if (auto ok = check_nothing_follows(*vm); !ok) return std::unexpected(std::move(ok.error()));
  return PasstOptions{std::move(draft.done), std::move(*vm)};
}

}  // namespace

std::expected<PasstOptions, EarlyExit> parse_passt_options(std::span<const char* const> words,
                                                           std::string (*free_socket)()) {
  PasstDraft draft;
  const auto rest = read_passt_words(kPasst, words, draft);
  if (!rest) return std::unexpected(rest.error());
  if (!rest->empty()) {
    return std::unexpected(
        passt_mistake(kPasst, {fmt::format("'{}' is unexpected", rest->front())}));
  }
  if (!draft.machine.socket && !draft.raw.has(OptionId::kFd)) draft.machine.socket = free_socket();
  auto options = finish(std::move(draft));
  if (!options) return std::unexpected(passt_mistake(kPasst, options.error()));
  return std::move(*options);
}

}  // namespace sluice::app
