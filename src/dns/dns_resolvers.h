// The host's resolvers as the relay sees them: their order, and which of them are silent. One
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.h"
#include "wire/address.h"

namespace sluice::dns {

class DnsResolvers {
 public:
  static constexpr std::size_t kMax = 8;

  // Best first; at most kMax are kept, and what is known of those that stay. Whether it is another
  // list than before.
  bool set(const std::vector<wire::Endpoint>& endpoints);

  [[nodiscard]] bool empty() const { return resolvers_.empty(); }
  [[nodiscard]] std::size_t size() const { return resolvers_.size(); }
  // Only below size().
  [[nodiscard]] const wire::Endpoint& endpoint(std::size_t index) const {
    return resolvers_[index].endpoint;
  }
  // The first that is not known to be silent, from `first` on and around; `first` if all are. Only
  // when not empty.
  [[nodiscard]] std::size_t choose(std::size_t first, Instant now) const;

  // By address, because the list may have changed since that one was asked.
  void on_answer(const wire::Endpoint& from, Instant now);
  void on_failure(const wire::Endpoint& of, Instant dead_until);
  // It said nothing to what was asked at `asked`. If it answered others meanwhile it is only slow
  // with this question.
  void on_silence(const wire::Endpoint& of, Instant asked, Instant dead_until);

 private:
  struct Resolver {
    wire::Endpoint endpoint{};
    Instant dead_until{};
    Instant last_answer{};
  };

  [[nodiscard]] Resolver* find(const wire::Endpoint& endpoint);

  std::vector<Resolver> resolvers_;
};

}  // namespace sluice::dns
