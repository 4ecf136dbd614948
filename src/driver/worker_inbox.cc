// A worker among others that share its guest: what it takes from them, and what it tells them.
#include <utility>
#include <variant>

#include "base/overloaded.h"
#include "driver/worker.h"
#include "flow/core/drop_reason.h"

namespace sluice::driver {

void Worker::read_inbox(Outside& outside) {
  if (!member_) return;
  member_->take(mail_);
  const Instant now = loop_.now();
  on_news(mail_);
  // A call may end the worker's work, but never this loop: what is posted meanwhile is for the
  // next.
  for (std::size_t i = 0; i < mail_.posts.size(); ++i) {
    const bool parcel_follows =
        i + 1 < mail_.posts.size() && std::holds_alternative<Parcel>(mail_.posts[i + 1]);
    std::visit(Overloaded{[&](const Parcel& parcel) {
                            const auto end = parcel_follows ? flow::BurstEnd::kMoreFollows
                                                            : flow::BurstEnd::kDrained;
                            on_parcel(parcel, end, now);
                          },
                          [&](const FlowsEnded& ended) {
                            for (const flow::FlowSummary& flow : ended.flows) tell(flow);
                          },
                          [&](const Seen& seen) { reporter_.add(seen, now); },
                          [&](ClientAccepted& client) {
                            published_.begin_flow(client.peer, client.guest,
                                                  std::move(client.socket), {now, sink_});
                          },
                          [&](const FlowAsks& asks) { ask_people(asks.asked, now); },
                          [&](const AskWithdrawn& gone) {
                            if (asker_ != nullptr) asker_->on_withdrawn(gone.worker, gone.flow);
                          },
                          [&](const FlowRuled& ruled) { carry_out(ruled, now); },
                          [&](const LinkGone&) { outside.on_link_gone(); },
                          [&](const WorkerCall& call) { call.run(*this, outside); }},
               mail_.posts[i]);
  }
  settle(now);
  member_->inbox().give_back(mail_);
  if (member_->is_blocked() && member_->try_again()) resume_link();
}

void Worker::on_news(const Inbox::Mail& mail) {
  if (mail.guest) {
    engine_.merge_guest(*mail.guest);
    member_->heard_guest(*mail.guest);
  }
  if (!mail.host) return;
  if (mail.host->addresses) engine_.set_host_addresses(*mail.host->addresses);
  for (const wire::Prefix& prefix : mail.host->nat64) engine_.add_nat64_prefix(prefix);
  if (mail.host->resolvers) dns_.use_resolvers(*mail.host->resolvers);
}

void Worker::follow_resolvers(Instant now) {
  if (dns_.follow_resolvers(now) && member_) {
    member_->tell_host({.resolvers = dns_.resolvers()});
  }
}

void Worker::on_parcel(const Parcel& parcel, flow::BurstEnd end, Instant now) {
  // As before each burst: what is in the sink may borrow packets of an older one.
  settle(now);
  follow_resolvers(now);
  for (std::size_t i = 0; i < parcel.size(); ++i) {
    engine_.on_frame(parcel.frame(i), {now, sink_});
  }
  engine_.end_burst(end, {now, sink_});
  settle(now);
}

// At the end of a turn.
void Worker::tell_others() {
  for (const std::vector<std::uint8_t>& frame : engine_.foreign_frames()) {
    if (!member_->pass_on(frame)) engine_.drops().count(flow::DropReason::kFragmentDropped);
  }
  engine_.foreign_frames().clear();
  member_->tell_guest(engine_.guest_seen());
  const std::span<const wire::Prefix> nat64 = engine_.nat64_prefixes();
  if (member_->is_first() && nat64.size() != member_->nat64_told()) {
    member_->tell_host({.nat64 = {nat64.begin(), nat64.end()}});
  }
  member_->flush_reports();
  if (member_->is_blocked()) pause_link();
}

// Its descriptors stay, as they might not find a place again.
void Worker::pause_link() {
  if (std::exchange(link_paused_, true) || link_gone_) return;
  for (const int fd : link_->descriptors()) {
    (void)loop_.modify(fd, 0, EventTag{EventKind::kLink}.pack());
  }
}

void Worker::resume_link() {
  if (!std::exchange(link_paused_, false) || link_gone_) return;
  for (const int fd : link_->descriptors()) {
    (void)loop_.modify(fd, EPOLLIN, EventTag{EventKind::kLink}.pack());
  }
}

}  // namespace sluice::driver
