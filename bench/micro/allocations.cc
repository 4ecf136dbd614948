#include "micro/allocations.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace sluice::bench {
namespace {

constinit Allocations so_far;

[[nodiscard]] void* allocate(std::size_t size, std::size_t alignment) {
  ++so_far.count;
  so_far.bytes += size;
  // aligned_alloc() wants a multiple of the alignment, and malloc() may return null for nothing.
  const std::size_t rounded = std::max(alignment, (size + alignment - 1) & ~(alignment - 1));
  void* const memory = alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__
                           ? std::malloc(std::max<std::size_t>(size, 1))
                           : std::aligned_alloc(alignment, rounded);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

Allocations allocations_so_far() { return so_far; }

}  // namespace sluice::bench

// The array and nothrow forms of the standard library end in these.
void* operator new(std::size_t size) {
  return sluice::bench::allocate(size, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return sluice::bench::allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
