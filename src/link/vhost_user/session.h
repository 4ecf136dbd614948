// What one front-end has said, and what follows from it: features of the device and of the
// protocol, memory, rings. It reads and maps nothing itself: messages come in with their
// descriptors, effects go to a VhostDevice, and an answer is given back to be sent.
//
// The protocol is that of QEMU's document. Whatever a front-end says, in any order, either
// has its effect or is a refusal, which ends the session where no acknowledgement can tell it.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "link/vhost_user/messages.h"

namespace sluice::link {

// Bits of GET_PROTOCOL_FEATURES.
struct VhostProtocol {
  static constexpr std::uint64_t kMq = 1U << 0;
  static constexpr std::uint64_t kLogShmfd = 1U << 1;
  static constexpr std::uint64_t kRarp = 1U << 2;
  static constexpr std::uint64_t kReplyAck = 1U << 3;
  static constexpr std::uint64_t kNetMtu = 1U << 4;
  static constexpr std::uint64_t kBackendReq = 1U << 5;
  static constexpr std::uint64_t kConfig = 1U << 9;
  static constexpr std::uint64_t kInflightShmfd = 1U << 12;
  static constexpr std::uint64_t kResetDevice = 1U << 13;
  static constexpr std::uint64_t kMemSlots = 1U << 15;
  static constexpr std::uint64_t kStatus = 1U << 16;
};
// Bits of GET_FEATURES that are the transport's, not the device's.
inline constexpr std::uint64_t kVhostLogAll = 1U << 26;
inline constexpr std::uint64_t kVhostProtocolFeatures = 1U << 30;

struct VhostRing {
  std::uint32_t size = 0;
  std::uint32_t base = 0;  // Where it begins, or stood when it was stopped.
  bool was_reset = false;  // Since then: it is where nothing begins.
  std::optional<VhostVringAddress> address;
  UniqueFd kick;
  UniqueFd call;
  bool enabled = false;
  bool started = false;
};

// What a session does. Rings are numbered as the device has them: two for each pair, RX first, and
// the control queue behind them.
class VhostDevice {
 public:
  // Rings are stopped while the memory changes.
  [[nodiscard]] virtual VhostDone set_table(std::span<const VhostRegion> regions,
                                            std::vector<UniqueFd> files) = 0;
  [[nodiscard]] virtual VhostDone add_region(const VhostRegion& region, UniqueFd file) = 0;
  [[nodiscard]] virtual VhostDone remove_region(const VhostRegion& region) = 0;
  // Where pages that were written to are marked, while the features have kVhostLogAll.
  [[nodiscard]] virtual VhostDone set_log(const VhostLog& log, UniqueFd file) = 0;
  virtual void set_features(std::uint64_t features) = 0;
  // A file of zeros with room for what `inflight` says, whose size is set by it.
  [[nodiscard]] virtual std::expected<UniqueFd, VhostRefusal> make_inflight(
      VhostInflight& inflight) = 0;
  // Where it is noted from the next start of a ring on; what is found there is taken up again.
  // Rings are stopped.
  [[nodiscard]] virtual VhostDone set_inflight(const VhostInflight& inflight, UniqueFd file) = 0;
  // Nothing is noted any more.
  virtual void forget_inflight() = 0;
  // Where this ring stands is somebody else's to say.
  virtual void clear_inflight(std::size_t index) = 0;

  // The ring is borrowed until it is stopped; its call and whether it is enabled may change.
  [[nodiscard]] virtual VhostDone start_ring(std::size_t index, const VhostRing& ring) = 0;
  // Returns where it stands, as SET_VRING_BASE has it.
  [[nodiscard]] virtual std::uint32_t stop_ring(std::size_t index) = 0;
  // Of a started ring: whom to call is another, or whether it is enabled.
  virtual void ring_changed(std::size_t index) = 0;

 protected:
  ~VhostDevice() = default;
};

struct VhostOffer {
  std::uint64_t features = 0;              // Of the device; the transport's are added.
  std::size_t pairs = 1;                   // Of queues; a control queue stands behind them.
  std::size_t regions_max = 1;             // Of memory.
  std::uint32_t ring_size_max = 32'768;    // Virtio 1.2, 2.7.
  std::span<const std::uint8_t> config{};  // The device's configuration space. Not owned.
};

class VhostSession {
 public:
  // Neither is owned.
  VhostSession(const VhostOffer& offer, VhostDevice& device);
  VhostSession(const VhostSession&) = delete;
  VhostSession& operator=(const VhostSession&) = delete;

  // Takes a message with its descriptors, of which there are as many as parse_vhost_message() was
  // told. Returns what is to be answered, if anything is; an error ends the session.
  [[nodiscard]] std::expected<std::optional<VhostMessage>, VhostRefusal> on_message(
      const VhostMessage& message, std::vector<UniqueFd> descriptors);
  // Why the last message was acknowledged as not done; empty where it was.
  [[nodiscard]] const std::string& refused() const { return refused_; }
  // What goes along with the last answer; not valid where nothing does.
  [[nodiscard]] UniqueFd take_descriptor() { return std::move(descriptor_); }
  // The front-end is gone.
  void end();

  [[nodiscard]] const VhostRing& ring(std::size_t index) const { return rings_[index]; }
  [[nodiscard]] std::size_t ring_count() const { return rings_.size(); }
  [[nodiscard]] std::uint64_t features() const { return features_; }
  [[nodiscard]] std::uint64_t protocol_features() const { return protocol_features_; }

 private:
  using Result = std::expected<VhostPayload, VhostRefusal>;

  [[nodiscard]] Result carry_out(const VhostMessage& message, std::vector<UniqueFd> descriptors);
  [[nodiscard]] Result set_features(std::uint64_t features);
  [[nodiscard]] Result set_protocol_features(std::uint64_t features);
  [[nodiscard]] Result set_status(std::uint64_t status);
  [[nodiscard]] static Result set_mtu(std::uint64_t mtu);
  [[nodiscard]] Result get_config(const VhostConfig& asked) const;
  [[nodiscard]] Result set_log(const VhostLog& log, UniqueFd file);
  [[nodiscard]] Result get_inflight(VhostInflight inflight);
  [[nodiscard]] Result set_inflight(const VhostInflight& inflight, UniqueFd file);
  [[nodiscard]] Result change_memory(const VhostMessage& message,
                                     std::vector<UniqueFd> descriptors);
  [[nodiscard]] Result set_size(const VhostVringState& state);
  [[nodiscard]] Result set_base(const VhostVringState& state);
  [[nodiscard]] Result get_base(const VhostVringState& state);
  [[nodiscard]] Result set_enabled(const VhostVringState& state);
  [[nodiscard]] Result set_address(const VhostVringAddress& address);
  [[nodiscard]] Result set_kick(const VhostVringFd& vring, UniqueFd descriptor);
  [[nodiscard]] Result set_call(const VhostVringFd& vring, UniqueFd descriptor);
  [[nodiscard]] std::uint64_t offered_features() const;
  [[nodiscard]] std::uint64_t offered_protocol();
  [[nodiscard]] std::uint64_t queue_number() const;
  [[nodiscard]] VhostDone start(std::size_t index);
  void stop(std::size_t index);
  [[nodiscard]] std::vector<std::size_t> stop_all();
  [[nodiscard]] VhostDone start_again(std::span<const std::size_t> rings);
  void reset();

  const VhostOffer offer_;
  VhostDevice& device_;
  std::vector<VhostRing> rings_;
  std::uint64_t features_ = 0;
  std::uint64_t protocol_features_ = 0;
  std::uint8_t status_ = 0;
  bool owned_ = false;                 // SET_OWNER has come.
  bool has_features_ = false;          // SET_FEATURES has come.
  std::optional<bool> offers_config_;  // From when it first asked.
  std::string refused_;
  UniqueFd descriptor_;
  UniqueFd requests_;  // Kept open: nothing is asked of the front-end.
};

}  // namespace sluice::link
