// One description of each benchmark, from which come the timed run of Google Benchmark, the count
// of instructions under callgrind, the count of allocations, and a smoke run.
//
//   class Checksum {
//    public:
//     explicit Checksum(std::size_t size);
//     void operator()();                             // one operation; the only part measured
//     static constexpr std::uint64_t kBatch = 1000;  // optional, with restore(): it is called
//     void restore();                                // before the first and after each kBatch
//     void check() const;                            // optional: afterwards, with require()
//     static constexpr std::uint64_t kCounted = 20;  // optional: how many callgrind counts
//   };
//   const Registrar registrar([] { add<Checksum>("checksum/64", 64); });
//
// What should have happened is required, not assumed: a benchmark that measures something else
// ends the program. One thread.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace sluice::bench {

// A benchmark that was set up and is ready to run.
class Scenario {
 public:
  Scenario() = default;
  Scenario(const Scenario&) = delete;
  Scenario& operator=(const Scenario&) = delete;
  virtual ~Scenario() = default;

  // How many operations may follow a restore().
  [[nodiscard]] virtual std::uint64_t batch() const = 0;
  [[nodiscard]] virtual bool needs_restore() const = 0;
  virtual void restore() = 0;
  virtual void run(std::uint64_t operations) = 0;
  virtual void check() = 0;
};

struct Description {
  std::string name;  // With its arguments: name/argument/family.
  std::uint64_t counted;
  std::function<std::unique_ptr<Scenario>()> make;
};

// All that were added.
[[nodiscard]] std::vector<Description>& descriptions();

// Ends the program with status 1 and the name of the benchmark that runs.
[[noreturn]] void fail(const char* what);
inline void require(bool holds, const char* what) {
  if (!holds) [[unlikely]]
    fail(what);
}
// What fail() calls the benchmark.
void set_current(const std::string& name);

template <typename T>
class Loop final : public Scenario {
 public:
  template <typename... Args>
  explicit Loop(const Args&... args) : body_(args...) {}

  [[nodiscard]] std::uint64_t batch() const override {
    if constexpr (kRestores) {
      return T::kBatch;
    } else {
      return UINT64_MAX;
    }
  }
  [[nodiscard]] bool needs_restore() const override { return kRestores; }
  void restore() override {
    if constexpr (kRestores) body_.restore();
  }
  [[gnu::noinline]] void run(std::uint64_t operations) override {
    for (std::uint64_t i = 0; i < operations; ++i) body_();
  }
  void check() override {
    if constexpr (requires { body_.check(); }) body_.check();
  }

 private:
  static constexpr bool kRestores = requires(T& body) { body.restore(); };
  T body_;
};

template <typename T>
[[nodiscard]] constexpr std::uint64_t counted_of() {
  if constexpr (requires { T::kCounted; }) {
    return T::kCounted;
  } else {
    return 500;
  }
}

// A benchmark of class T, made anew from `args` for each use.
template <typename T, typename... Args>
void add(std::string name, const Args&... args) {
  descriptions().push_back({std::move(name), counted_of<T>(), [args...] {
                              return std::unique_ptr<Scenario>(std::make_unique<Loop<T>>(args...));
                            }});
}

// Adds benchmarks before main() begins.
struct Registrar {
  template <std::invocable Add>
  explicit Registrar(const Add& add_all) {
    add_all();
  }
};

}  // namespace sluice::bench
