// What sluice and its program in the guest (box/init) say to each other over the console's control
// port: how the command is to be run, signals, and how it ended.
//
// A message is a length (32 bits, little-endian, of what follows), a kind (one byte) and its
// fields. Both ends are of one build, so there is no version; a guest that was taken over may still
// send anything. Pure: bytes in, values out.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "wire/address.h"

namespace sluice::box {

// Most bytes of a message, its length included. execve() takes 6 MiB of words at most (Linux,
// _STK_LIM / 4 * 3), and files of /etc come beside them.
inline constexpr std::size_t kHostMessageMax = std::size_t{8} << 20;
inline constexpr std::size_t kGuestMessageMax = std::size_t{64} << 10;

// Names of the console's ports, as the guest finds them in /sys/class/virtio-ports, and numbers.
inline constexpr const char* kControlPortName = "sluice.control";
inline constexpr const char* kStreamPortName = "sluice.stream";
inline constexpr const char* kErrorPortName = "sluice.error";
inline constexpr std::uint8_t kControlPort = 0;
inline constexpr std::uint8_t kStreamPort = 1;  // Standard input and output.
inline constexpr std::uint8_t kErrorPort = 2;

// The file system that the guest's root is made of.
inline constexpr const char* kRootTag = "root";

// Host to guest.

// A terminal's size in characters.
struct Window {
  std::uint16_t rows = 0;
  std::uint16_t columns = 0;
  friend bool operator==(const Window&, const Window&) = default;
};

// A directory of the host's at `target`, which is made where it is missing.
struct Share {
  std::string tag;  // Of the virtiofs device: "share0".
  std::string target;
  bool writable = false;
  friend bool operator==(const Share&, const Share&) = default;
};

// A file that the command sees in the place of the root's.
struct FileText {
  std::string path;  // Absolute.
  std::string text;
  friend bool operator==(const FileText&, const FileText&) = default;
};

struct AddressOfGuest {
  wire::IpAddress address;
  std::uint8_t prefix_length = 0;
  friend bool operator==(const AddressOfGuest&, const AddressOfGuest&) = default;
};

struct NetworkSetup {
  std::string interface = "eth0";  // What the only network device is to be called.
  std::vector<AddressOfGuest> addresses = {};
  std::vector<wire::IpAddress> gateways = {};  // At most one a family; makes its default route.
  std::uint32_t mtu = 1500;
  std::uint16_t queue_pairs = 1;  // As many as the device has, or fewer.
  friend bool operator==(const NetworkSetup&, const NetworkSetup&) = default;
};

enum class ErrorPlace : std::uint8_t {
  kOwnPort,
  kTerminal,  // Standard error is the terminal as well. Only where there is one.
};

// How the command is run; the first message, once.
struct Setup {
  std::vector<std::string> command;      // As for execvp(); at least one.
  std::vector<std::string> environment;  // NAME=VALUE.
  std::string directory = "/";           // Where the command starts.
  // It was asked for: without it there is no command. Otherwise one starts in "/" where it is
  // missing.
  bool directory_required = false;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> groups;
  std::optional<Window> terminal;  // Pipes without it.
  ErrorPlace error_place = ErrorPlace::kOwnPort;
  std::uint32_t umask = 022;
  std::uint64_t descriptor_limit = 0;  // RLIMIT_NOFILE, soft and hard; 0: the kernel's.
  std::uint64_t overlay_bytes = 0;     // Of what the guest may write; 0: half of its memory.
  std::uint64_t clock_ns = 0;          // Since 1970; 0: the guest's clock is right.
  std::string host_name;               // Empty: the kernel's.
  NetworkSetup network;
  std::vector<FileText> files;
  std::vector<Share> shares;
  friend bool operator==(const Setup&, const Setup&) = default;
};

// The host's standard input ended after so many bytes. It may overtake them: ports are apart.
struct InputEnd {
  std::uint64_t bytes = 0;
  friend bool operator==(const InputEnd&, const InputEnd&) = default;
};

// Nobody reads that stream (kStreamPort, kErrorPort) on the host any more: who writes there in the
// guest is told so, and what is still sent is thrown away.
struct OutputClosed {
  std::uint8_t port = 0;
  friend bool operator==(const OutputClosed&, const OutputClosed&) = default;
};

// To the command's process group.
struct SendSignal {
  std::uint8_t number = 0;
  friend bool operator==(const SendSignal&, const SendSignal&) = default;
};

// Everything arrived: the machine may go off.
struct PowerOff {
  friend bool operator==(const PowerOff&, const PowerOff&) = default;
};

using HostMessage = std::variant<Setup, InputEnd, OutputClosed, SendSignal, Window, PowerOff>;

// Guest to host. Texts that are read have no control characters, and are cut to what can be shown.

// A step of the boot is done.
struct Stage {
  std::string name;
  std::uint64_t nanoseconds = 0;  // Since the guest's kernel started.
  friend bool operator==(const Stage&, const Stage&) = default;
};

// The command runs.
struct Started {
  friend bool operator==(const Started&, const Started&) = default;
};

// The command stopped itself, or its terminal did; it goes on by SIGCONT.
struct Stopped {
  std::uint8_t signal = 0;
  friend bool operator==(const Stopped&, const Stopped&) = default;
};

// Every writer in the guest closed that stream after so many bytes.
struct OutputEnd {
  std::uint8_t port = 0;
  std::uint64_t bytes = 0;
  friend bool operator==(const OutputEnd&, const OutputEnd&) = default;
};

// What could not be had and is not needed.
struct Warned {
  std::string step;
  std::int32_t error = 0;  // errno, or 0.
  std::string hint;
  friend bool operator==(const Warned&, const Warned&) = default;
};

// The command could not be started: `status` is 125 where a step before it failed, 126 where it
// cannot be run, 127 where it was not found, as env(1) has them. Exited comes all the same.
struct Failed {
  std::uint8_t status = 125;
  std::string step;
  std::int32_t error = 0;  // errno, or 0.
  std::string hint;
  friend bool operator==(const Failed&, const Failed&) = default;
};

// The command ended, nothing of it is left, and that many bytes were put into the ports.
struct Exited {
  std::uint8_t status = 0;  // As a shell has it: 128 + signal.
  std::uint64_t stream_bytes = 0;
  std::uint64_t error_bytes = 0;
  friend bool operator==(const Exited&, const Exited&) = default;
};

using GuestMessage = std::variant<Stage, Started, Stopped, OutputEnd, Warned, Failed, Exited>;

// A whole message. The caller bounds what goes into it by the limits above: a reader refuses more.
[[nodiscard]] std::vector<std::uint8_t> emit(const HostMessage& message);
[[nodiscard]] std::vector<std::uint8_t> emit(const GuestMessage& message);

// Cuts a stream into messages. Holds at most one message that is not complete beside what was
// pushed: call next() after each push() until it has none.
template <typename Message>
class MessageReader {
 public:
  void push(ByteView bytes) {
    if (!broken_) bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  // The next message, none while it is not complete, or a sentence: no message of that kind has
  // this form. Once that happened it is so for ever, and what is pushed is thrown away.
  [[nodiscard]] std::expected<std::optional<Message>, std::string> next();

 private:
  std::vector<std::uint8_t> bytes_;
  std::size_t read_ = 0;  // So many of them are used up.
  bool broken_ = false;
};

using HostMessageReader = MessageReader<HostMessage>;    // In the guest.
using GuestMessageReader = MessageReader<GuestMessage>;  // In the host.
extern template class MessageReader<HostMessage>;
extern template class MessageReader<GuestMessage>;

}  // namespace sluice::box
