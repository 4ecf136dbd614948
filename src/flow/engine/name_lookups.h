// Our own questions for names: where those lead that flows go to by an address which stands for
// them. Both families are asked for at the same time, and once one has answered with addresses, the
// other is given a moment (RFC 8305, 3). Flows to the same name share a question.
//
// Each is answered in the end, as the relay answers each question. Bounded in names and in flows.
// Sans-IO; one thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/slab.h"
#include "base/time.h"
#include "dns/dns_pending.h"
#include "dns/names/pins.h"
#include "flow/core/action.h"
#include "flow/judge/dns_judge.h"
#include "wire/address.h"
#include "wire/messages/domain_name.h"

namespace sluice::flow {

class NameLookups {
 public:
  static constexpr std::size_t kLookupsMax = 1024;
  static constexpr std::size_t kWaitingMax = 4096;  // Flows, over all names.
  static constexpr Duration kOtherFamily = std::chrono::milliseconds(50);

  // Where a name leads, and who waited for it.
  struct Found {
    std::vector<FindTarget> waiting{};
    // Of each family, in the order of the answer.
    std::vector<wire::IpAddress> v4{};
    std::vector<wire::IpAddress> v6{};
    policy::Verdict verdict = policy::Verdict::kAccepted;  // A family's answer was refused.
  };
  // To be put to the relay, as `client`.
  struct Question {
    dns::DnsClient client{};
    std::vector<std::uint8_t> message{};
  };

  enum class Begun : std::uint8_t { kJoined, kFresh, kFull };
  // Where the name leads is wanted: by a flow, or soon. kFresh: `questions` have to be asked.
  [[nodiscard]] Begun begin(dns::NameId id, const wire::DomainName& name, const FindTarget* waiting,
                            std::array<Question, 2>& questions);
  // What the relay says to one of them.
  void on_answer(const dns::DnsClient& client, DnsJudge::Leads leads, Instant now);
  // Those that are known by now.
  [[nodiscard]] std::vector<Found>& found() { return found_; }

  [[nodiscard]] Instant next_deadline() const { return next_; }
  void on_timer(Instant now);
  [[nodiscard]] std::size_t size() const { return lookups_.size(); }

 private:
  struct Lookup {
    std::uint32_t name = 0;  // Its index, as in by_name_.
    Found found{};
    std::array<bool, 2> answered{};  // IPv4, IPv6.
    Instant due = kNever;            // When the family that is missing is not waited for.
  };

  void finish(SlabHandle handle);

  Slab<Lookup> lookups_;
  std::unordered_map<std::uint32_t, SlabHandle> by_name_;
  std::vector<Found> found_;
  std::size_t waiting_ = 0;
  Instant next_ = kNever;
};

}  // namespace sluice::flow
