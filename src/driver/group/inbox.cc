#include "driver/group/inbox.h"

#include <algorithm>
#include <utility>

#include "sys/event_fd.h"

namespace sluice::driver {

Inbox::Inbox(sys::Kernel& kernel) : kernel_(kernel), event_(sys::open_event_fd()) {}

bool Inbox::note_news() { return !std::exchange(signalled_, true); }

void Inbox::wait_for_room(std::uint32_t sender) {
  if (std::ranges::find(mail_.waiting, sender) == mail_.waiting.end()) {
    mail_.waiting.push_back(sender);
  }
}

void Inbox::wake() { sys::ring(kernel_, event_.get()); }

bool Inbox::post(Parcel& parcel, std::uint32_t sender) {
  bool news = false;
  {
    const std::lock_guard guard(lock_);
    if (bytes_ >= kBytesMax) {
      wait_for_room(sender);
      return false;
    }
    bytes_ += parcel.bytes();
    mail_.posts.emplace_back(std::move(parcel));
    if (spares_.empty()) {
      parcel = {};
    } else {
      parcel = std::move(spares_.back());
      spares_.pop_back();
    }
    news = note_news();
  }
  if (news) wake();
  return true;
}

void Inbox::post(Post&& post, std::size_t bytes) {
  bool news = false;
  {
    const std::lock_guard guard(lock_);
    bytes_ += bytes;
    mail_.posts.push_back(std::move(post));
    news = note_news();
  }
  if (news) wake();
}

bool Inbox::has_room_for(std::uint32_t sender) {
  const std::lock_guard guard(lock_);
  if (bytes_ < kBytesMax) return true;
  wait_for_room(sender);
  return false;
}

bool Inbox::has_room() const {
  const std::lock_guard guard(lock_);
  return bytes_ < kBytesMax;
}

void Inbox::tell(const flow::GuestSeen& guest) {
  bool news = false;
  {
    const std::lock_guard guard(lock_);
    // Of what was not read yet nothing is lost but an older MAC address.
    flow::GuestSeen all = mail_.guest.value_or(guest);
    all.mac = guest.mac;
    all.addresses.merge(guest.addresses);
    mail_.guest = all;
    news = note_news();
  }
  if (news) wake();
}

void Inbox::tell(const HostNews& host) {
  bool news = false;
  {
    const std::lock_guard guard(lock_);
    if (!mail_.host) mail_.host.emplace();
    if (host.addresses) mail_.host->addresses = host.addresses;
    if (!host.nat64.empty()) mail_.host->nat64 = host.nat64;
    if (host.resolvers) mail_.host->resolvers = host.resolvers;
    news = note_news();
  }
  if (news) wake();
}

void Inbox::take(Mail& mail) {
  // Before the lock: what is posted from here on wakes again.
  sys::drain(kernel_, event_.get());
  const std::lock_guard guard(lock_);
  // Each by itself, as GCC 12 takes the optional ones of a whole swap for uninitialized.
  mail.posts.swap(mail_.posts);
  mail.guest = std::exchange(mail_.guest, std::nullopt);
  mail.host = std::move(mail_.host);
  mail_.host.reset();
  mail.waiting.swap(mail_.waiting);
  bytes_ = 0;
  signalled_ = false;
}

void Inbox::give_back(Mail& mail) {
  {
    const std::lock_guard guard(lock_);
    for (Post& post : mail.posts) {
      auto* const parcel = std::get_if<Parcel>(&post);
      if (parcel == nullptr || spares_.size() >= kSparesMax) continue;
      parcel->clear();
      spares_.push_back(std::move(*parcel));
    }
  }
  mail.posts.clear();
  mail.guest.reset();
  mail.host.reset();
  mail.waiting.clear();
}

}  // namespace sluice::driver
