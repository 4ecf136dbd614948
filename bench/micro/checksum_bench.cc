// The Internet checksum over a small header, a full packet and a super-frame.
#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include "base/prng.h"
#include "micro/harness.h"
#include "wire/checksum.h"

namespace sluice::bench {
namespace {

class Checksum {
 public:
  explicit Checksum(std::size_t size) : bytes_(size) {
    Prng prng(1);
    for (std::uint8_t& byte : bytes_) byte = static_cast<std::uint8_t>(prng.next());
    expected_ = wire::checksum_finish(wire::checksum_add(0, bytes_));
    require(expected_ != 0, "a sum that tells");
  }

  void operator()() {
    benchmark::DoNotOptimize(bytes_.data());
    const std::uint16_t sum = wire::checksum_finish(wire::checksum_add(0, bytes_));
    require(sum == expected_, "the same sum each time");
  }

 private:
  std::vector<std::uint8_t> bytes_;
  std::uint16_t expected_ = 0;
};

const Registrar registrar([] {
  for (const std::size_t size : {std::size_t{64}, std::size_t{1500}, std::size_t{65'536}}) {
    add<Checksum>(fmt::format("checksum/{}", size), size);
  }
});

}  // namespace
}  // namespace sluice::bench
