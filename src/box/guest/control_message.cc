#include "box/guest/control_message.h"

#include <algorithm>
#include <concepts>
#include <type_traits>
#include <utility>

#include "box/guest/message_fields.h"
#include "box/guest/printable.h"

namespace sluice::box {
namespace {

constexpr std::size_t kLengthSize = 4;

// One function for each message and each part of one; `Io` is a FieldWriter with const values, or
// a FieldReader.
template <typename T, typename Plain>
concept Of = std::same_as<std::remove_const_t<T>, Plain>;

constexpr auto kPlainItem = [](auto& io, auto& item) { io.field(item); };

template <typename Io, Of<Window> T>
void fields(Io& io, T& window) {
  io.field(window.rows);
  io.field(window.columns);
}

template <typename Io, Of<Share> T>
void fields(Io& io, T& share) {
  io.field(share.tag);
  io.field(share.target);
  io.flag(share.writable);
}

template <typename Io, Of<FileText> T>
void fields(Io& io, T& file) {
  io.field(file.path);
  io.field(file.text);
}

template <typename Io, Of<AddressOfGuest> T>
void fields(Io& io, T& item) {
  io.field(item.address);
  io.field(item.prefix_length);
}

constexpr auto kItem = [](auto& io, auto& item) { fields(io, item); };

template <typename Io, Of<NetworkSetup> T>
void fields(Io& io, T& network) {
  io.field(network.interface);
  io.list(network.addresses, kItem);
  io.list(network.gateways, kPlainItem);
  io.field(network.mtu);
  io.field(network.queue_pairs);
}

template <typename Io, Of<Setup> T>
void fields(Io& io, T& setup) {
  io.list(setup.command, kPlainItem);
  io.list(setup.environment, kPlainItem);
  io.field(setup.directory);
  io.flag(setup.directory_required);
  io.field(setup.uid);
  io.field(setup.gid);
  io.list(setup.groups, kPlainItem);
  io.maybe(setup.terminal, kItem);
  io.choice(setup.error_place, ErrorPlace::kTerminal);
  io.field(setup.umask);
  io.field(setup.descriptor_limit);
  io.field(setup.overlay_bytes);
  io.field(setup.clock_ns);
  io.field(setup.host_name);
  fields(io, setup.network);
  io.list(setup.files, kItem);
  io.list(setup.shares, kItem);
}

template <typename Io, Of<InputEnd> T>
void fields(Io& io, T& end) {
  io.field(end.bytes);
}

template <typename Io, Of<OutputClosed> T>
void fields(Io& io, T& closed) {
  io.field(closed.port);
}

template <typename Io, Of<SendSignal> T>
void fields(Io& io, T& signal) {
  io.field(signal.number);
}

template <typename Io, Of<PowerOff> T>
void fields(Io& /*io*/, T& /*nothing*/) {}

template <typename Io, Of<Stage> T>
void fields(Io& io, T& stage) {
  io.field(stage.name);
  io.field(stage.nanoseconds);
}

template <typename Io, Of<Started> T>
void fields(Io& /*io*/, T& /*nothing*/) {}

template <typename Io, Of<Stopped> T>
void fields(Io& io, T& stopped) {
  io.field(stopped.signal);
}

template <typename Io, Of<OutputEnd> T>
void fields(Io& io, T& end) {
  io.field(end.port);
  io.field(end.bytes);
}

template <typename Io, Of<Warned> T>
void fields(Io& io, T& warned) {
  io.field(warned.step);
  io.field(warned.error);
  io.field(warned.hint);
}

template <typename Io, Of<Failed> T>
void fields(Io& io, T& failed) {
  io.field(failed.status);
  io.field(failed.step);
  io.field(failed.error);
  io.field(failed.hint);
}

template <typename Io, Of<Exited> T>
void fields(Io& io, T& exited) {
  io.field(exited.status);
  io.field(exited.stream_bytes);
  io.field(exited.error_bytes);
}

// Kinds are the alternatives' numbers, the guest's from here on: a message that is heard at the
// wrong end is none.
template <typename Message>
constexpr std::uint8_t kFirstKind = std::same_as<Message, HostMessage> ? 1 : 65;

template <typename Message>
constexpr std::size_t kMessageMax =
    std::same_as<Message, HostMessage> ? kHostMessageMax : kGuestMessageMax;

template <typename Message>
std::vector<std::uint8_t> emit_any(const Message& message) {
  std::vector<std::uint8_t> out;
  FieldWriter writer(out);
  writer.field(std::uint32_t{0});
  writer.field(static_cast<std::uint8_t>(kFirstKind<Message> + message.index()));
  std::visit([&writer](const auto& each) { fields(writer, each); }, message);
  std::vector<std::uint8_t> length;
  FieldWriter(length).field(static_cast<std::uint32_t>(out.size() - kLengthSize));
  std::copy(length.begin(), length.end(), out.begin());
  return out;
}

// What a message must keep beyond its form: what is used as an index or a number is one.
bool sensible(const OutputClosed& closed) {
  return closed.port == kStreamPort || closed.port == kErrorPort;
}
bool sensible(const OutputEnd& end) { return end.port == kStreamPort || end.port == kErrorPort; }
bool sensible(const Setup& setup) { return !setup.command.empty(); }
template <typename Other>
bool sensible(const Other& /*any*/) {
  return true;
}

// Most of a text of the guest's that is worth showing.
constexpr std::size_t kShownMax = 500;

void make_shown(std::string& text) {
  text.resize(std::min(text.size(), kShownMax));
  make_printable(text);
}
void make_shown(Stage& stage) { make_shown(stage.name); }
void make_shown(Warned& warned) {
  make_shown(warned.step);
  make_shown(warned.hint);
}
void make_shown(Failed& failed) {
  make_shown(failed.step);
  make_shown(failed.hint);
}
template <typename Other>
void make_shown(Other& /*without texts that are shown*/) {}

template <typename Message, std::size_t Index = 0>
std::optional<Message> parse(std::size_t index, FieldReader reader) {
  if constexpr (Index == std::variant_size_v<Message>) {
    return std::nullopt;
  } else {
    if (index != Index) return parse<Message, Index + 1>(index, reader);
    std::variant_alternative_t<Index, Message> message;
    fields(reader, message);
    if (!reader.complete() || !sensible(message)) return std::nullopt;
    make_shown(message);
    return Message(std::in_place_index<Index>, std::move(message));
  }
}

}  // namespace

std::vector<std::uint8_t> emit(const HostMessage& message) { return emit_any(message); }
std::vector<std::uint8_t> emit(const GuestMessage& message) { return emit_any(message); }

template <typename Message>
std::expected<std::optional<Message>, std::string> MessageReader<Message>::next() {
  const auto broken = [this](std::string sentence) {
    broken_ = true;
    bytes_ = std::vector<std::uint8_t>();  // An empty list would keep the memory.
    read_ = 0;
    return std::unexpected(std::move(sentence));
  };
  if (broken_) return broken("the control port had no message before");
  const ByteView rest = ByteView(bytes_).subspan(read_);
  if (rest.size() < kLengthSize) {
    // What is used up goes when the next message is not whole, not for each message.
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(read_));
    read_ = 0;
    return std::nullopt;
  }
  std::uint32_t length = 0;
  FieldReader(rest).field(length);
  if (length == 0 || length > kMessageMax<Message> - kLengthSize) {
    return broken("a control message of " + std::to_string(length) + " bytes");
  }
  if (rest.size() - kLengthSize < length) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(read_));
    read_ = 0;
    return std::nullopt;
  }
  const ByteView body = rest.subspan(kLengthSize, length);
  const std::size_t index = std::size_t{body[0]} - kFirstKind<Message>;
  auto message = parse<Message>(index, FieldReader(body.subspan(1)));
  if (!message) {
    return broken("a control message of kind " + std::to_string(body[0]) + " and " +
                  std::to_string(length) + " bytes that has no such form");
  }
  read_ += kLengthSize + length;
  return std::optional<Message>(std::move(*message));
}

template class MessageReader<HostMessage>;
template class MessageReader<GuestMessage>;

}  // namespace sluice::box
