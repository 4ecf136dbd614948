#include "box/kvm/guest_ram.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

namespace sluice::box {
namespace {

std::unexpected<sys::SetupError> failed(std::string step, int error) {
  return std::unexpected(sys::SetupError{std::move(step), error, ""});
}

}  // namespace

std::vector<MemoryRange> memory_ranges(std::uint64_t size) {
  const std::uint64_t low = std::min(size, kDeviceHole);
  std::vector<MemoryRange> ranges{{.guest_address = 0, .size = low, .offset = 0}};
  if (size > low) {
    ranges.push_back({.guest_address = kHighMemory, .size = size - low, .offset = low});
  }
  return ranges;
}

std::expected<GuestRam, sys::SetupError> GuestRam::create(std::uint64_t size) {
  constexpr std::uint64_t kPage = 4096;
  size &= ~(kPage - 1);
  const std::string step = "the guest's memory of " + std::to_string(size >> 20) + " MiB";
  if (size < kMemoryMin) {
    return std::unexpected(sys::SetupError{step, 0, "it needs 64 MiB at least"});
  }
  UniqueFd fd(::memfd_create("sluice-guest", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return failed(step, errno);
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) return failed(step, errno);
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return failed(step, errno);
  }
  void* address =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd.get(), 0);
  if (address == MAP_FAILED) return failed(step, errno);
  // Fewer page faults where the system gives shared memory huge pages; a core dump of ours is not
  // the place of the guest's secrets. Neither is worth an error.
  (void)::madvise(address, size, MADV_HUGEPAGE);
  (void)::madvise(address, size, MADV_DONTDUMP);
  return GuestRam(std::move(fd), MutableBytes(static_cast<std::uint8_t*>(address), size));
}

GuestRam::GuestRam(UniqueFd fd, MutableBytes bytes)
    : fd_(std::move(fd)), bytes_(bytes), ranges_(memory_ranges(bytes.size())) {
  for (const MemoryRange& range : ranges_) {
    const MutableBytes part = bytes_.subspan(range.offset, range.size);
    // Ranges of ours never overlap, so that this cannot fail.
    (void)memory_.add({.guest_address = range.guest_address,
                       .user_address = reinterpret_cast<std::uintptr_t>(part.data()),
                       .bytes = part});
  }
}

GuestRam::GuestRam(GuestRam&& other) noexcept
    : fd_(std::move(other.fd_)),
      bytes_(std::exchange(other.bytes_, {})),
      ranges_(std::move(other.ranges_)),
      memory_(std::move(other.memory_)) {}

GuestRam::~GuestRam() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

}  // namespace sluice::box
