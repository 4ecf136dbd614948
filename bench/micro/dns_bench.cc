// The DNS relay, through the engine: an answer out of its cache, and one that a resolver gives.
#include <fmt/core.h>

#include <cstring>

#include "micro/guest_frames.h"
#include "unit/dns/dns_messages.h"

namespace sluice::bench {
namespace {

constexpr std::string_view kName = "host-00000000.example.com";
// Of the digits in a message: behind the header, the label's length and "host-".
constexpr std::size_t kDigitsAt = 12 + 1 + 5;
constexpr std::size_t kDigits = 8;

dns::test::QueryOptions query_options(Family family) {
  return {.type = family == Family::kV4 ? wire::DnsType::kA : wire::DnsType::kAaaa,
          .edns_size = 1232};
}

wire::Endpoint dns_endpoint(Family family) {
  const flow::GuestNetwork network;
  return {family == Family::kV4 ? network.dns_v4 : network.dns_v6, wire::Port{53}};
}

// A guest that asks one name after the other, or the same again.
class Asker {
 public:
  explicit Asker(Family family) {
    const Bytes query = dns::test::make_query(kName, query_options(family));
    frame_ = datagram_frame(guest_endpoint(family, 5353), dns_endpoint(family), query);
    query_at_ = frame_.size() - query.size();
    answer_ = dns::test::make_answer(
        query, {.records = {{family == Family::kV4 ? "198.51.100.9" : "2001:db8::9"}}});
  }
  void ask(std::uint32_t number) {
    for (std::size_t i = 0; i < kDigits; ++i) {
      digits_[i] = static_cast<std::uint8_t>("0123456789abcdef"[(number >> (4 * i)) & 15U]);
    }
    std::memcpy(frame_.data() + query_at_ + kDigitsAt, digits_.data(), kDigits);
    driver.turn(frame_);
  }
  // The resolver's answer to what was asked last.
  void answer() {
    std::memcpy(answer_.data(), driver.dns_sent.data(), 2);
    std::memcpy(answer_.data() + kDigitsAt, digits_.data(), kDigits);
    driver.engine.on_dns_answer(driver.dns_slot, flow::Engine::DnsTransport::kUdp, answer_,
                                {driver.now, driver.sink});
    driver.settle();
  }

  EngineDriver driver;

 private:
  Bytes frame_;
  Bytes answer_;
  std::size_t query_at_ = 0;
  std::array<std::uint8_t, kDigits> digits_{};
};

// A name that the cache knows.
class CacheHit {
 public:
  explicit CacheHit(Family family) : asker_(family) {
    asker_.ask(1);
    asker_.answer();
  }
  void operator()() {
    asker_.ask(1);
    ++done_;
  }
  void check() const {
    require(asker_.driver.carried.dns_queries == 1, "only the first question is passed on");
    require(asker_.driver.carried.frames == 1 + done_, "each question is answered");
    asker_.driver.require_no_drops();
  }

 private:
  Asker asker_;
  std::uint64_t done_ = 0;
};

// A new name each time: the question to the resolver, its answer, and the answer to the guest. The
// cache is full, so that the oldest entry goes.
class CacheMiss {
 public:
  static constexpr std::uint64_t kCounted = 200;

  explicit CacheMiss(Family family) : asker_(family) {
    for (std::size_t i = 0; i < dns::DnsCacheLimits{}.entries_max; ++i) (*this)();
  }
  void operator()() {
    asker_.ask(done_);
    asker_.answer();
    ++done_;
  }
  void check() const {
    require(asker_.driver.carried.dns_queries == done_, "each question goes to the resolver");
    require(asker_.driver.carried.frames == done_, "each question is answered");
    asker_.driver.require_no_drops();
  }

 private:
  Asker asker_;
  std::uint32_t done_ = 0;
};

const Registrar registrar([] {
  for (const Family family : kFamilies) {
    add<CacheHit>(fmt::format("dns_cache_hit/{}", name_of(family)), family);
    add<CacheMiss>(fmt::format("dns_cache_miss/{}", name_of(family)), family);
  }
});

}  // namespace
}  // namespace sluice::bench
