// Objects at stable addresses, named by handles that outlive them safely.
//
// A Handle is an index and a generation: once its object is erased, find() answers nullptr, even
// when the place was given to another object. Memory grows in chunks up to the most objects that
// ever lived at once and is reused without further allocation. Owned by one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace sluice {

struct SlabHandle {
  std::uint32_t index = 0xffff'ffff;
  std::uint32_t generation = 0;
  friend constexpr bool operator==(const SlabHandle&, const SlabHandle&) = default;
  [[nodiscard]] constexpr bool valid() const { return index != 0xffff'ffff; }
  // Whole, in one number: for those who hold it as their own affair.
  [[nodiscard]] constexpr std::uint64_t pack() const {
    return (std::uint64_t{generation} << 32) | index;
  }
  [[nodiscard]] static constexpr SlabHandle unpack(std::uint64_t packed) {
    return {static_cast<std::uint32_t>(packed), static_cast<std::uint32_t>(packed >> 32)};
  }
};

template <typename T>
class Slab {
 public:
  Slab() = default;
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() {
    for_each([this](SlabHandle handle, T&) { erase(handle); });
  }

  template <typename... Args>
  [[nodiscard]] SlabHandle emplace(Args&&... args) {
    if (free_head_ == kNone) grow();
    const std::uint32_t index = free_head_;
    Slot& slot = slot_at(index);
    free_head_ = slot.next_free;
    ::new (static_cast<void*>(slot.storage)) T(std::forward<Args>(args)...);
    slot.next_free = kOccupied;
    ++size_;
    return SlabHandle{index, slot.generation};
  }

  [[nodiscard]] T* find(SlabHandle handle) {
    if (handle.index >= capacity()) return nullptr;
    Slot& slot = slot_at(handle.index);
    if (slot.generation != handle.generation || slot.next_free != kOccupied) return nullptr;
    return slot.object();
  }

  [[nodiscard]] const T* find(SlabHandle handle) const {
    if (handle.index >= capacity()) return nullptr;
    const Slot& slot = slot_at(handle.index);
    if (slot.generation != handle.generation || slot.next_free != kOccupied) return nullptr;
    return slot.object();
  }

  // The object at an index that is known to be occupied.
  [[nodiscard]] T& at(std::uint32_t index) { return *slot_at(index).object(); }
  [[nodiscard]] const T& at(std::uint32_t index) const { return *slot_at(index).object(); }
  [[nodiscard]] SlabHandle handle_of(std::uint32_t index) const {
    return SlabHandle{index, slot_at(index).generation};
  }

  // A stale handle is ignored.
  void erase(SlabHandle handle) {
    T* object = find(handle);
    if (object == nullptr) return;
    object->~T();
    Slot& slot = slot_at(handle.index);
    ++slot.generation;
    slot.next_free = free_head_;
    free_head_ = handle.index;
    --size_;
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t capacity() const { return chunks_.size() * kChunk; }

  // Visits every object; the visitor may erase the object it is given.
  template <typename Visitor>
  void for_each(Visitor&& visit) {
    for (std::uint32_t i = 0; i < capacity(); ++i) {
      Slot& slot = slot_at(i);
      if (slot.next_free == kOccupied) visit(SlabHandle{i, slot.generation}, *slot.object());
    }
  }

 private:
  static constexpr std::uint32_t kChunk = 64;
  static constexpr std::uint32_t kNone = 0xffff'ffff;
  static constexpr std::uint32_t kOccupied = 0xffff'fffe;

  struct Slot {
    std::uint32_t generation = 1;
    std::uint32_t next_free = kNone;
    alignas(T) std::byte storage[sizeof(T)];
    [[nodiscard]] T* object() { return std::launder(reinterpret_cast<T*>(storage)); }
    [[nodiscard]] const T* object() const {
      return std::launder(reinterpret_cast<const T*>(storage));
    }
  };

  [[nodiscard]] Slot& slot_at(std::uint32_t index) {
    return chunks_[index / kChunk][index % kChunk];
  }
  [[nodiscard]] const Slot& slot_at(std::uint32_t index) const {
    return chunks_[index / kChunk][index % kChunk];
  }

  [[gnu::cold]] void grow() {
    const auto base = static_cast<std::uint32_t>(capacity());
    chunks_.push_back(std::make_unique<Slot[]>(kChunk));
    for (std::uint32_t i = kChunk; i-- > 0;) {
      slot_at(base + i).next_free = free_head_;
      free_head_ = base + i;
    }
  }

  std::vector<std::unique_ptr<Slot[]>> chunks_;
  std::uint32_t free_head_ = kNone;
  std::size_t size_ = 0;
};

}  // namespace sluice
