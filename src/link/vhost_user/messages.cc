#include "link/vhost_user/messages.h"

#include <algorithm>
#include <cstring>

#include "base/overloaded.h"

namespace sluice::link {
namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kVersionMask = 3;
constexpr std::uint32_t kIsAnswer = 1U << 2;
constexpr std::uint32_t kNeedReply = 1U << 3;
// In the number of SET_VRING_KICK, _CALL and _ERR: the ring, and that no descriptor comes.
constexpr std::uint64_t kRingMask = 0xff;
constexpr std::uint64_t kNoDescriptor = 1U << 8;

constexpr std::size_t kRegionSize = 32;
constexpr std::size_t kTableHead = 8;
constexpr std::size_t kConfigHead = 12;
constexpr std::size_t kInflightSize = 20;
constexpr std::size_t kInflightPadded = 24;

enum class Form : std::uint8_t {
  kNothing,
  kNumber,
  kState,
  kAddress,
  kVringFd,
  kRegion,
  kTable,
  kLog,
  kInflight,
  kConfig
};

struct Shape {
  VhostRequest request;
  Form form;
  std::size_t descriptors_min;
  std::size_t descriptors_max;
  std::string_view name;
};

using enum VhostRequest;
constexpr std::array kShapes = {
    Shape{kGetFeatures, Form::kNothing, 0, 0, "GET_FEATURES"},
    Shape{kSetFeatures, Form::kNumber, 0, 0, "SET_FEATURES"},
    Shape{kSetOwner, Form::kNothing, 0, 0, "SET_OWNER"},
    Shape{kResetOwner, Form::kNothing, 0, 0, "RESET_OWNER"},
    Shape{kSetMemTable, Form::kTable, 1, kVhostTableMax, "SET_MEM_TABLE"},
    Shape{kSetLogBase, Form::kLog, 1, 1, "SET_LOG_BASE"},
    Shape{kSetLogFd, Form::kNothing, 1, 1, "SET_LOG_FD"},
    Shape{kSetVringNum, Form::kState, 0, 0, "SET_VRING_NUM"},
    Shape{kSetVringAddr, Form::kAddress, 0, 0, "SET_VRING_ADDR"},
    Shape{kSetVringBase, Form::kState, 0, 0, "SET_VRING_BASE"},
    Shape{kGetVringBase, Form::kState, 0, 0, "GET_VRING_BASE"},
    Shape{kSetVringKick, Form::kVringFd, 0, 1, "SET_VRING_KICK"},
    Shape{kSetVringCall, Form::kVringFd, 0, 1, "SET_VRING_CALL"},
    Shape{kSetVringErr, Form::kVringFd, 0, 1, "SET_VRING_ERR"},
    Shape{kGetProtocolFeatures, Form::kNothing, 0, 0, "GET_PROTOCOL_FEATURES"},
    Shape{kSetProtocolFeatures, Form::kNumber, 0, 0, "SET_PROTOCOL_FEATURES"},
    Shape{kGetQueueNum, Form::kNothing, 0, 0, "GET_QUEUE_NUM"},
    Shape{kSetVringEnable, Form::kState, 0, 0, "SET_VRING_ENABLE"},
    Shape{kSendRarp, Form::kNumber, 0, 0, "SEND_RARP"},
    Shape{kNetSetMtu, Form::kNumber, 0, 0, "NET_SET_MTU"},
    Shape{kSetBackendReqFd, Form::kNothing, 1, 1, "SET_BACKEND_REQ_FD"},
    Shape{kGetConfig, Form::kConfig, 0, 0, "GET_CONFIG"},
    Shape{kSetConfig, Form::kConfig, 0, 0, "SET_CONFIG"},
    Shape{kGetInflightFd, Form::kInflight, 0, 0, "GET_INFLIGHT_FD"},
    Shape{kSetInflightFd, Form::kInflight, 1, 1, "SET_INFLIGHT_FD"},
    Shape{kResetDevice, Form::kNothing, 0, 0, "RESET_DEVICE"},
    Shape{kGetMaxMemSlots, Form::kNothing, 0, 0, "GET_MAX_MEM_SLOTS"},
    Shape{kAddMemReg, Form::kRegion, 1, 1, "ADD_MEM_REG"},
    // A front-end may send the descriptor of the region along; it is not needed.
    Shape{kRemMemReg, Form::kRegion, 0, 1, "REM_MEM_REG"},
    Shape{kSetStatus, Form::kNumber, 0, 0, "SET_STATUS"},
    Shape{kGetStatus, Form::kNothing, 0, 0, "GET_STATUS"},
};

[[nodiscard]] const Shape* shape_of(VhostRequest request) {
  const auto* const found = std::ranges::find(kShapes, request, &Shape::request);
  return found == kShapes.end() ? nullptr : found;
}

// Reads one number after the other. The caller has checked that they are there.
class NativeReader {
 public:
  explicit NativeReader(ByteView bytes) : rest_(bytes) {}
  template <typename T>
  [[nodiscard]] T next() {
    T value{};
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_ = rest_.subspan(sizeof value);
    return value;
  }
  [[nodiscard]] std::uint32_t u32() { return next<std::uint32_t>(); }
  [[nodiscard]] std::uint64_t u64() { return next<std::uint64_t>(); }
  [[nodiscard]] VhostRegion region() {
    VhostRegion region;
    region.guest_address = u64();
    region.size = u64();
    region.user_address = u64();
    region.offset = u64();
    return region;
  }
  [[nodiscard]] ByteView rest() const { return rest_; }

 private:
  ByteView rest_;
};

class NativeWriter {
 public:
  explicit NativeWriter(MutableBytes out) : out_(out) {}
  template <typename T>
  void add(T value) {
    std::memcpy(out_.data() + used_, &value, sizeof value);
    used_ += sizeof value;
  }
  void add(const VhostRegion& region) {
    add(region.guest_address);
    add(region.size);
    add(region.user_address);
    add(region.offset);
  }
  void add_bytes(ByteView bytes) {
    std::ranges::copy(bytes, out_.begin() + static_cast<std::ptrdiff_t>(used_));
    used_ += bytes.size();
  }
  [[nodiscard]] std::size_t used() const { return used_; }

 private:
  MutableBytes out_;
  std::size_t used_ = 0;
};

using Parsed = std::expected<VhostPayload, VhostError>;

[[nodiscard]] Parsed parse_vring_fd(ByteView payload, std::size_t descriptors) {
  const std::uint64_t value = NativeReader(payload).u64();
  const bool present = (value & kNoDescriptor) == 0;
  if (present != (descriptors == 1)) return std::unexpected(VhostError::kDescriptors);
  return VhostVringFd{static_cast<std::uint8_t>(value & kRingMask), present};
}

[[nodiscard]] VhostVringAddress parse_address(ByteView payload) {
  NativeReader in(payload);
  VhostVringAddress address;
  address.index = in.u32();
  address.flags = in.u32();
  address.descriptors = in.u64();
  address.used = in.u64();
  address.available = in.u64();
  address.log = in.u64();
  return address;
}

// A front-end may send the whole of its structure, with room behind the regions that count.
[[nodiscard]] Parsed parse_table(ByteView payload, std::size_t descriptors) {
  if (payload.size() < kTableHead) return std::unexpected(VhostError::kSize);
  NativeReader in(payload);
  VhostTable table;
  table.count = in.u32();
  (void)in.u32();  // Padding.
  if (table.count == 0 || table.count > kVhostTableMax) {
    return std::unexpected(VhostError::kRegions);
  }
  if (in.rest().size() < table.count * kRegionSize) return std::unexpected(VhostError::kSize);
  if (descriptors != table.count) return std::unexpected(VhostError::kDescriptors);
  for (std::size_t i = 0; i < table.count; ++i) table.regions[i] = in.region();
  return table;
}

[[nodiscard]] Parsed parse_config(ByteView payload) {
  if (payload.size() < kConfigHead) return std::unexpected(VhostError::kSize);
  NativeReader in(payload);
  VhostConfig config;
  config.offset = in.u32();
  config.size = in.u32();
  config.flags = in.u32();
  if (config.size > kVhostConfigMax || in.rest().size() != config.size) {
    return std::unexpected(VhostError::kSize);
  }
  std::ranges::copy(in.rest(), config.bytes.begin());
  return config;
}

[[nodiscard]] Parsed parse_inflight(ByteView payload) {
  if (payload.size() != kInflightSize && payload.size() != kInflightPadded) {
    return std::unexpected(VhostError::kSize);
  }
  NativeReader in(payload);
  VhostInflight inflight;
  inflight.size = in.u64();
  inflight.offset = in.u64();
  inflight.queues = in.next<std::uint16_t>();
  inflight.queue_size = in.next<std::uint16_t>();
  inflight.padded = payload.size() == kInflightPadded;
  return inflight;
}

[[nodiscard]] constexpr std::size_t fixed_size_of(Form form) {
  switch (form) {
    case Form::kNothing: return 0;
    case Form::kNumber:
    case Form::kState:
    case Form::kVringFd: return 8;
    case Form::kAddress: return 40;
    case Form::kRegion: return 8 + kRegionSize;
    case Form::kLog: return 16;
    case Form::kTable:
    case Form::kInflight:
    case Form::kConfig: break;
  }
  return 0;
}

[[nodiscard]] Parsed parse_payload(Form form, ByteView payload, std::size_t descriptors) {
  if (form == Form::kTable) return parse_table(payload, descriptors);
  if (form == Form::kConfig) return parse_config(payload);
  if (form == Form::kInflight) return parse_inflight(payload);
  if (payload.size() != fixed_size_of(form)) return std::unexpected(VhostError::kSize);
  NativeReader in(payload);
  switch (form) {
    case Form::kNumber: return VhostNumber{in.u64()};
    case Form::kState: {
      const std::uint32_t index = in.u32();
      return VhostVringState{index, in.u32()};
    }
    case Form::kAddress: return parse_address(payload);
    case Form::kVringFd: return parse_vring_fd(payload, descriptors);
    case Form::kRegion: (void)in.u64(); return in.region();  // Behind padding.
    case Form::kLog: {
      const std::uint64_t size = in.u64();
      return VhostLog{size, in.u64()};
    }
    case Form::kNothing:
    case Form::kTable:
    case Form::kInflight:
    case Form::kConfig: break;
  }
  return VhostNothing{};
}

void emit_payload(const VhostPayload& payload, NativeWriter& out) {
  std::visit(Overloaded{[](const VhostNothing&) {},
                        [&](const VhostNumber& number) { out.add(number.value); },
                        [&](const VhostVringState& state) {
                          out.add(state.index);
                          out.add(state.value);
                        },
                        [&](const VhostVringAddress& address) {
                          out.add(address.index);
                          out.add(address.flags);
                          out.add(address.descriptors);
                          out.add(address.used);
                          out.add(address.available);
                          out.add(address.log);
                        },
                        [&](const VhostVringFd& vring) {
                          out.add(vring.index | (vring.present ? 0 : kNoDescriptor));
                        },
                        [&](const VhostRegion& region) {
                          out.add(std::uint64_t{0});
                          out.add(region);
                        },
                        [&](const VhostTable& table) {
                          out.add(table.count);
                          out.add(std::uint32_t{0});
                          for (std::size_t i = 0; i < table.count; ++i) out.add(table.regions[i]);
                        },
                        [&](const VhostLog& log) {
                          out.add(log.size);
                          out.add(log.offset);
                        },
                        [&](const VhostInflight& inflight) {
                          out.add(inflight.size);
                          out.add(inflight.offset);
                          out.add(inflight.queues);
                          out.add(inflight.queue_size);
                          if (inflight.padded) out.add(std::uint32_t{0});
                        },
                        [&](const VhostConfig& config) {
                          out.add(config.offset);
                          out.add(config.size);
                          out.add(config.flags);
                          out.add_bytes(ByteView(config.bytes).first(config.size));
                        }},
             payload);
}

}  // namespace

std::string_view to_string(VhostError error) {
  switch (error) {
    case VhostError::kVersion: return "another version than 1";
    case VhostError::kAnswer: return "an answer to nothing";
    case VhostError::kUnknown: return "an unknown request";
    case VhostError::kSize: return "a payload of a wrong size";
    case VhostError::kRegions: return "a wrong number of memory regions";
    case VhostError::kDescriptors: return "a wrong number of descriptors";
  }
  return "";
}

std::string_view to_string(VhostRequest request) {
  const Shape* shape = shape_of(request);
  return shape == nullptr ? "an unknown request" : shape->name;
}

std::expected<VhostHeader, VhostError> parse_vhost_header(FixedView<kVhostHeaderSize> bytes) {
  NativeReader in(bytes);
  const auto request = static_cast<VhostRequest>(in.u32());
  const std::uint32_t flags = in.u32();
  const std::uint32_t size = in.u32();
  if ((flags & kVersionMask) != kVersion) return std::unexpected(VhostError::kVersion);
  if ((flags & kIsAnswer) != 0) return std::unexpected(VhostError::kAnswer);
  if (shape_of(request) == nullptr) return std::unexpected(VhostError::kUnknown);
  if (size > kVhostPayloadMax) return std::unexpected(VhostError::kSize);
  return VhostHeader{request, (flags & kNeedReply) != 0, size};
}

std::expected<VhostMessage, VhostError> parse_vhost_message(const VhostHeader& header,
                                                            ByteView payload,
                                                            std::size_t descriptors) {
  const Shape* shape = shape_of(header.request);
  if (shape == nullptr) return std::unexpected(VhostError::kUnknown);
  if (descriptors < shape->descriptors_min || descriptors > shape->descriptors_max) {
    return std::unexpected(VhostError::kDescriptors);
  }
  const Parsed parsed = parse_payload(shape->form, payload, descriptors);
  if (!parsed) return std::unexpected(parsed.error());
  return VhostMessage{header.request, header.need_reply, *parsed};
}

std::size_t emit_vhost_message(const VhostMessage& message, VhostKind kind,
                               FixedBytes<kVhostMessageMax> out) {
  NativeWriter payload(out.subspan<kVhostHeaderSize>());
  emit_payload(message.payload, payload);
  NativeWriter header(out.first<kVhostHeaderSize>());
  header.add(static_cast<std::uint32_t>(message.request));
  header.add(kVersion | (kind == VhostKind::kAnswer ? kIsAnswer : 0) |
             (message.need_reply ? kNeedReply : 0));
  header.add(static_cast<std::uint32_t>(payload.used()));
  return kVhostHeaderSize + payload.used();
}

}  // namespace sluice::link
