// A guest's memory as a front-end shares it: files, of which parts are mapped here for as long as
// they are in its table. Owns the mappings and feeds virtio::GuestMemory, and maps the log of dirty
// pages and the region of what is in flight. What is asked for is checked before it is mapped; what
// is taken away later is found by GuardedRange and told by broken(). Not thread-safe.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/unique_fd.h"
#include "link/shared/fault_guard.h"
#include "link/vhost_user/messages.h"
#include "virtio/guest_memory.h"

namespace sluice::link {

// One mapping of a file, guarded. Move-only.
class FileMapping {
 public:
  FileMapping(FileMapping&& other) noexcept;
  FileMapping& operator=(FileMapping&& other) noexcept;
  ~FileMapping();

  // [offset, offset + size) of the file, which must have it.
  [[nodiscard]] static std::expected<FileMapping, VhostRefusal> map(const UniqueFd& file,
                                                                    std::uint64_t offset,
                                                                    std::uint64_t size);

  [[nodiscard]] MutableBytes bytes() const { return bytes_; }
  [[nodiscard]] bool broken() const { return guard_.broken(); }

 private:
  FileMapping(MutableBytes pages, MutableBytes bytes, GuardedRange guard)
      : pages_(pages), bytes_(bytes), guard_(std::move(guard)) {}

  MutableBytes pages_;  // What is mapped, from its first page on.
  MutableBytes bytes_;  // What was asked for.
  GuardedRange guard_;
};

// Regions of a guest: one for each bank of memory, and for each module that may be plugged in.
inline constexpr std::size_t kVhostRegionsMax = 64;

class MappedMemory {
 public:
  // Of all regions together: more than any machine has.
  static constexpr std::uint64_t kTotalMax = std::uint64_t{1} << 44;

  // Replaces all that is there. After a refusal nothing is.
  [[nodiscard]] VhostDone set_table(std::span<const VhostRegion> regions,
                                    std::span<const UniqueFd> files);
  // QEMU before 8.0 adds and removes each region once for each of its queue pairs: one that is
  // there already is there once, and gone when it was removed as often as it was added.
  [[nodiscard]] VhostDone add(const VhostRegion& region, const UniqueFd& file);
  [[nodiscard]] VhostDone remove(const VhostRegion& region);
  // Pages are marked there while `logging` is asked for.
  [[nodiscard]] VhostDone set_log(const VhostLog& log, const UniqueFd& file);
  void log_writes(bool logging);
  // Of each queue a part of the same size, by its number: virtio::QueueConfig::inflight.
  [[nodiscard]] static std::expected<UniqueFd, VhostRefusal> make_inflight(VhostInflight& inflight);
  [[nodiscard]] VhostDone set_inflight(const VhostInflight& inflight, const UniqueFd& file);
  [[nodiscard]] MutableBytes inflight_of(std::size_t queue) const;
  void forget_inflight() { inflight_.clear(); }
  void clear();

  [[nodiscard]] const virtio::GuestMemory& guest() const { return guest_; }
  // The front-end took away what it had shared. Nothing of it is the guest's any more.
  [[nodiscard]] bool broken() const;

 private:
  struct Region {
    VhostRegion place;
    FileMapping mapping;
    std::uint64_t times = 1;  // That it was added.
  };
  void apply_log();

  std::vector<Region> regions_;
  std::vector<FileMapping> log_;       // At most one.
  std::vector<FileMapping> inflight_;  // The same.
  std::size_t inflight_queues_ = 0;
  bool logging_ = false;
  virtio::GuestMemory guest_;
};

}  // namespace sluice::link
