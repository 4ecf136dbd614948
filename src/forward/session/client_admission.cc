#include "forward/session/client_admission.h"

#include <utility>

#include "base/unreachable.h"
#include "forward/session/client_table.h"
#include "sys/random.h"

namespace sluice::forward {
namespace {

[[nodiscard]] policy::TokenBucket* bucket_of(std::optional<policy::TokenBucket>& bucket) {
  return bucket ? &*bucket : nullptr;
}

[[nodiscard]] std::optional<SessionResult> refusal_of(policy::Access access) {
  switch (access) {
    case policy::Access::kAllowed: return std::nullopt;
    case policy::Access::kNotAllowed: return SessionResult::kNotAllowed;
    case policy::Access::kDenied: return SessionResult::kDenied;
  }
  unreachable("access outside its enum");
}

}  // namespace

ClientAdmission::ClientAdmission(const Rule& rule, policy::AccessList global)
    : global_(std::move(global)),
      own_(rule.access),
      peers_global_{.allow = {}, .deny = global_.deny},
      peers_own_{.allow = rule.proxy_from, .deny = rule.access.deny},
      limited_(rule.limits.any() || rule.client_limits.any()),
      rule_is_counted_(rule.limits.connections != 0 || rule.limits.new_per_second != 0),
      limits_({.max_flows = rule.limits.connections,
               .new_flows_per_second = rule.limits.new_per_second}) {
  if (rule.limits.to_target_rate != 0) to_target_.emplace(rule.limits.to_target_rate);
  if (rule.limits.to_client_rate != 0) to_client_.emplace(rule.limits.to_client_rate);
  if (rule.client_limits.any()) {
    // Without randomness the table's order can be foreseen, which is no reason not to forward.
    const SipKey key = sys::draw_random<SipKey>().value_or(SipKey{});
    clients_ = std::make_unique<ClientTable>(rule.client_limits, key);
  }
}

ClientAdmission::~ClientAdmission() = default;

std::expected<ClientAdmission::Ticket, SessionResult> ClientAdmission::admit(
    const wire::IpAddress& client, Instant now) {
  const auto entry = admit_client(client, now);
  if (!entry) return std::unexpected(entry.error());
  if (!limited_) return Ticket();
  if (!admitted_by_rule(now)) {
    if (*entry != nullptr) clients_->released(**entry);
    return std::unexpected(SessionResult::kLimited);
  }
  return Ticket(*this, *entry);
}

std::expected<ClientEntry*, SessionResult> ClientAdmission::admit_client(
    const wire::IpAddress& client, Instant now) {
  if (const auto refused = refusal_of(policy::decide_access(global_, own_, client))) {
    return std::unexpected(*refused);
  }
  if (clients_ == nullptr) return nullptr;
  ClientEntry* const entry = clients_->admit(client, now);
  if (entry == nullptr) return std::unexpected(SessionResult::kLimited);
  return entry;
}

std::expected<ClientAdmission::Ticket, SessionResult> ClientAdmission::admit_peer(
    const std::optional<wire::IpAddress>& peer, Instant now) {
  if (peer) {
    if (const auto refused = refusal_of(policy::decide_access(peers_global_, peers_own_, *peer))) {
      return std::unexpected(*refused);
    }
  }
  if (!limited_) return Ticket();
  if (!admitted_by_rule(now)) return std::unexpected(SessionResult::kLimited);
  return Ticket(*this, nullptr);
}

std::optional<SessionResult> ClientAdmission::admit_named(Ticket& ticket,
                                                          const wire::IpAddress& client,
                                                          Instant now) {
  const auto entry = admit_client(client, now);
  if (!entry) return entry.error();
  ticket.client_ = *entry;
  return std::nullopt;
}

bool ClientAdmission::admitted_by_rule(Instant now) {
  if (!rule_is_counted_) return true;
  const std::scoped_lock lock(mutex_);
  return limits_.admit(now) == policy::Verdict::kAccepted;
}

void ClientAdmission::released(ClientEntry* client) {
  if (client != nullptr) clients_->released(*client);
  if (!rule_is_counted_) return;
  const std::scoped_lock lock(mutex_);
  limits_.released();
}

ClientAdmission::Ticket::Ticket(Ticket&& other) noexcept
    : owner_(std::exchange(other.owner_, nullptr)),
      client_(std::exchange(other.client_, nullptr)) {}

ClientAdmission::Ticket& ClientAdmission::Ticket::operator=(Ticket&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  owner_ = std::exchange(other.owner_, nullptr);
  client_ = std::exchange(other.client_, nullptr);
  return *this;
}

ClientAdmission::Ticket::~Ticket() { give_back(); }

void ClientAdmission::Ticket::give_back() {
  if (owner_ != nullptr) owner_->released(client_);
}

relay::Throttle ClientAdmission::Ticket::to_target() const {
  if (owner_ == nullptr) return {};
  return {.rule = bucket_of(owner_->to_target_),
          .client = client_ == nullptr ? nullptr : bucket_of(client_->to_target)};
}

relay::Throttle ClientAdmission::Ticket::to_client() const {
  if (owner_ == nullptr) return {};
  return {.rule = bucket_of(owner_->to_client_),
          .client = client_ == nullptr ? nullptr : bucket_of(client_->to_client)};
}

}  // namespace sluice::forward
