// Counts what a program allocates while it runs, for bench/profile:
//
//   LD_PRELOAD=…/libmalloc_count.so MALLOC_COUNT_FILE=FILE MALLOC_COUNT_PROGRAM=sluice sluice run …
//
// The counters lie at the start of FILE, which is mapped shared when the program starts: nothing is
// opened later, so a sandbox does not matter, and another process may read them at any time. Only
// programs whose name begins with MALLOC_COUNT_PROGRAM count, so that a command which an engine
// starts does not; processes that it forks do. Threads may allocate at once: the counters are
// atomic.
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

// As bench/profile/profilekit/allocations.py reads it.
struct Counters {
  std::atomic<std::uint64_t> programs;     // That have begun to count.
  std::atomic<std::uint64_t> allocations;  // malloc, calloc and the aligned forms.
  std::atomic<std::uint64_t> reallocations;
  std::atomic<std::uint64_t> frees;
  std::atomic<std::uint64_t> bytes;  // Asked for, also by realloc.
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(sizeof(Counters) == 40);

// What is allocated before the file is mapped is start-up, and nobody asks for it.
constinit Counters before_start{};
constinit std::atomic<Counters*> counters{&before_start};

void add(std::atomic<std::uint64_t> Counters::* which, std::size_t bytes) {
  Counters* const now = counters.load(std::memory_order_relaxed);
  (now->*which).fetch_add(1, std::memory_order_relaxed);
  if (bytes != 0) now->bytes.fetch_add(bytes, std::memory_order_relaxed);
}

[[gnu::constructor]] void start_counting() {
  const char* const path = std::getenv("MALLOC_COUNT_FILE");
  const char* const program = std::getenv("MALLOC_COUNT_PROGRAM");
  if (path == nullptr || program == nullptr) return;
  if (!std::string_view(program_invocation_short_name).starts_with(program)) return;
  const int fd = ::open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;  // Its reader sees that no program counts.
  void* const mapped = ::mmap(nullptr, sizeof(Counters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  if (mapped == MAP_FAILED) return;
  counters.store(static_cast<Counters*>(mapped));
  add(&Counters::programs, 0);
}

}  // namespace

extern "C" {

// glibc's own names of its allocator: they need no dlsym(), which allocates.
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* old, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* memory);

[[gnu::visibility("default")]] void* malloc(std::size_t size) {
  add(&Counters::allocations, size);
  return __libc_malloc(size);
}

[[gnu::visibility("default")]] void* calloc(std::size_t count, std::size_t size) {
  add(&Counters::allocations, count * size);
  return __libc_calloc(count, size);
}

[[gnu::visibility("default")]] void* realloc(void* old, std::size_t size) {
  add(&Counters::reallocations, size);
  return __libc_realloc(old, size);
}

[[gnu::visibility("default")]] void* memalign(std::size_t alignment, std::size_t size) {
  add(&Counters::allocations, size);
  return __libc_memalign(alignment, size);
}

[[gnu::visibility("default")]] void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return memalign(alignment, size);
}

[[gnu::visibility("default")]] int posix_memalign(void** memory, std::size_t alignment,
                                                  std::size_t size) {
  if (alignment < sizeof(void*) || (alignment & (alignment - 1)) != 0) return EINVAL;
  void* const got = memalign(alignment, size);
  if (got == nullptr) return ENOMEM;
  *memory = got;
  return 0;
}

[[gnu::visibility("default")]] void free(void* memory) {
  if (memory != nullptr) add(&Counters::frees, 0);
  __libc_free(memory);
}

}  // extern "C"
