#include "link/vhost_user/mapped_memory.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "virtio/ring/inflight_packed.h"
#include "virtio/ring/inflight_split.h"

namespace sluice::link {
namespace {

constexpr std::uint64_t kPage = 4096;

[[nodiscard]] std::unexpected<VhostRefusal> refuse(std::string_view why) {
  return std::unexpected(VhostRefusal{std::string(why)});
}

// Both layouts of rings have room in it, each part at its own lines of the cache.
[[nodiscard]] std::uint64_t inflight_part(std::size_t queue_size) {
  constexpr std::size_t kAlignment = 64;
  const std::size_t size = std::max(virtio::InflightSplit::region_size(queue_size),
                                    virtio::InflightPacked::region_size(queue_size));
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

FileMapping::FileMapping(FileMapping&& other) noexcept
    : pages_(std::exchange(other.pages_, {})),
      bytes_(std::exchange(other.bytes_, {})),
      guard_(std::move(other.guard_)) {}

FileMapping& FileMapping::operator=(FileMapping&& other) noexcept {
  std::swap(pages_, other.pages_);
  std::swap(bytes_, other.bytes_);
  std::swap(guard_, other.guard_);
  return *this;
}

FileMapping::~FileMapping() {
  if (!pages_.empty()) ::munmap(pages_.data(), pages_.size());
}

std::expected<FileMapping, VhostRefusal> FileMapping::map(const UniqueFd& file,
                                                          std::uint64_t offset,
                                                          std::uint64_t size) {
  struct stat status{};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return refuse("memory is shared by a descriptor that is no file");
  }
  const auto file_size = static_cast<std::uint64_t>(status.st_size);
  if (size == 0 || size > MappedMemory::kTotalMax) return refuse("a region has no possible size");
  if (offset > file_size || size > file_size - offset) {
    return refuse("a region lies beyond the end of its file");
  }
  // Files of huge pages are mapped by these, and say how large they are.
  const std::uint64_t page = std::max<std::uint64_t>(
      kPage, status.st_blksize > 0 ? static_cast<std::uint64_t>(status.st_blksize) : 0);
  const std::uint64_t before = offset % page;
  const std::uint64_t length = (before + size + page - 1) / page * page;
  void* const at = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                          file.get(), static_cast<off_t>(offset - before));
  if (at == MAP_FAILED) return refuse("a region cannot be mapped");
  const MutableBytes pages(static_cast<std::uint8_t*>(at), length);
  // A guest's memory is nothing for a core dump of ours.
  (void)::madvise(at, length, MADV_DONTDUMP);
  auto guard = GuardedRange::claim(pages);
  if (!guard) {
    ::munmap(at, length);
    return refuse("there are too many regions");
  }
  return FileMapping(pages, pages.subspan(before, size), std::move(*guard));
}

VhostDone MappedMemory::set_table(std::span<const VhostRegion> regions,
                                  std::span<const UniqueFd> files) {
  guest_.clear();
  regions_.clear();
  for (std::size_t i = 0; i < regions.size(); ++i) {
    if (const VhostDone done = add(regions[i], files[i]); !done) {
      clear();
      return done;
    }
  }
  return {};
}

VhostDone MappedMemory::add(const VhostRegion& region, const UniqueFd& file) {
  if (const auto same = std::ranges::find(regions_, region, &Region::place);
      same != regions_.end()) {
    ++same->times;
    return {};
  }
  if (regions_.size() >= kVhostRegionsMax) return refuse("there are too many regions");
  std::uint64_t total = 0;
  for (const Region& other : regions_) total += other.place.size;
  if (region.size > kTotalMax - std::min(total, kTotalMax)) {
    return refuse("the regions are larger than any machine's memory");
  }
  auto mapping = FileMapping::map(file, region.offset, region.size);
  if (!mapping) return std::unexpected(mapping.error());
  const auto added = guest_.add({.guest_address = region.guest_address,
                                 .user_address = region.user_address,
                                 .bytes = mapping->bytes()});
  if (!added) return refuse(virtio::text_of(added.error()));
  regions_.push_back({.place = region, .mapping = std::move(*mapping)});
  return {};
}

VhostDone MappedMemory::remove(const VhostRegion& region) {
  const auto place = [&](const Region& other) {
    return other.place.guest_address == region.guest_address && other.place.size == region.size &&
           other.place.user_address == region.user_address;
  };
  const auto found = std::ranges::find_if(regions_, place);
  if (found != regions_.end() && --found->times > 0) return {};
  const auto removed = guest_.remove(region.guest_address, region.user_address, region.size);
  if (!removed) return refuse(virtio::text_of(removed.error()));
  std::erase_if(regions_, [&](const Region& other) {
    return other.mapping.bytes().data() == removed->bytes.data();
  });
  return {};
}

VhostDone MappedMemory::set_log(const VhostLog& log, const UniqueFd& file) {
  guest_.set_dirty_log({});
  log_.clear();
  auto mapping = FileMapping::map(file, log.offset, log.size);
  if (!mapping) return std::unexpected(mapping.error());
  log_.push_back(std::move(*mapping));
  apply_log();
  return {};
}

void MappedMemory::log_writes(bool logging) {
  logging_ = logging;
  apply_log();
}

void MappedMemory::apply_log() {
  const bool on = logging_ && !log_.empty();
  guest_.set_dirty_log(on ? virtio::DirtyLog(log_.front().bytes()) : virtio::DirtyLog());
}

std::expected<UniqueFd, VhostRefusal> MappedMemory::make_inflight(VhostInflight& inflight) {
  inflight.offset = 0;
  inflight.size = std::uint64_t{inflight.queues} * inflight_part(inflight.queue_size);
  UniqueFd file(::memfd_create("sluice-inflight", MFD_CLOEXEC));
  if (!file.valid() || ::ftruncate(file.get(), static_cast<off_t>(inflight.size)) != 0) {
    return refuse("there is no memory for what is in flight");
  }
  return file;
}

VhostDone MappedMemory::set_inflight(const VhostInflight& inflight, const UniqueFd& file) {
  inflight_.clear();
  auto mapping = FileMapping::map(file, inflight.offset, inflight.size);
  if (!mapping) return std::unexpected(mapping.error());
  inflight_.push_back(std::move(*mapping));
  inflight_queues_ = inflight.queues;
  return {};
}

MutableBytes MappedMemory::inflight_of(std::size_t queue) const {
  if (inflight_.empty() || queue >= inflight_queues_) return {};
  const MutableBytes all = inflight_.front().bytes();
  const std::size_t part = all.size() / inflight_queues_;
  return all.subspan(queue * part, part);
}

void MappedMemory::clear() {
  guest_.clear();
  guest_.set_dirty_log({});
  regions_.clear();
  log_.clear();
  inflight_.clear();
}

bool MappedMemory::broken() const {
  const auto of_region = [](const Region& region) { return region.mapping.broken(); };
  const auto of_mapping = [](const FileMapping& mapping) { return mapping.broken(); };
  return std::ranges::any_of(regions_, of_region) || std::ranges::any_of(log_, of_mapping) ||
         std::ranges::any_of(inflight_, of_mapping);
}

}  // namespace sluice::link
