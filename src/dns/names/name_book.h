// What is known of the names that a guest asked for: pins (pins.h), addresses that stand for names
// (synthetic_names.h) and budgets (name_budget.h). One for each guest, and so for all of its
// workers: a name that one of them answered for is known when the guest's connection comes to
// another. Called where flows begin and answers come.
#pragma once

#include <optional>
#include <span>

#include "dns/names/name_budget.h"
#include "dns/names/pins.h"
#include "dns/names/synthetic_names.h"

namespace sluice::dns {

class NameBook {
 public:
  // See Pins and NameBudget.
  virtual std::optional<NameId> pin(const wire::DomainName& name, const wire::IpAddress& address,
                                    Instant expires, Instant now) = 0;
  virtual void note(const wire::DomainName& name, const wire::IpAddress& address, Instant now) = 0;
  virtual std::size_t names_of(const wire::IpAddress& address, std::span<Pinned> out) = 0;
  [[nodiscard]] virtual std::optional<Instant> expiry(NameId id,
                                                      const wire::IpAddress& address) const = 0;
  [[nodiscard]] virtual std::optional<NameId> find(const wire::DomainName& name) const = 0;
  // Of either kind of name. Only one that is pinned can be held; the others stay.
  [[nodiscard]] virtual std::optional<wire::DomainName> name(NameId id) const = 0;
  virtual void hold(NameId id) = 0;
  virtual void release(NameId id) = 0;
  // See SyntheticNames::give() and at().
  virtual std::optional<NameId> give_synthetic(const wire::DomainName& name, SyntheticUse use) = 0;
  [[nodiscard]] virtual std::optional<NameId> synthetic_at(
      const wire::IpAddress& address) const = 0;
  [[nodiscard]] virtual bool spend(const wire::DomainName& domain, const wire::DomainName& name,
                                   const BudgetLimits& limits, Instant now) = 0;
  // How many addresses are pinned, over all names.
  [[nodiscard]] virtual std::size_t pins() const = 0;

  virtual ~NameBook() = default;
};

// `Lock` has lock() and unlock(); where one thread has the book alone, NoLock.
struct NoLock {
  void lock() {}
  void unlock() {}
};

template <typename Lock>
class NameBookOf final : public NameBook {
 public:
  explicit NameBookOf(const SipKey& key, const PinLimits& limits = {})
      : pins_(key, limits), synthetic_(key), budget_(key) {}

  std::optional<NameId> pin(const wire::DomainName& name, const wire::IpAddress& address,
                            Instant expires, Instant now) override {
    const Guard guard(lock_);
    return pins_.pin(name, address, expires, now);
  }
  void note(const wire::DomainName& name, const wire::IpAddress& address, Instant now) override {
    const Guard guard(lock_);
    pins_.note(name, address, now);
  }
  std::size_t names_of(const wire::IpAddress& address, std::span<Pinned> out) override {
    const Guard guard(lock_);
    return pins_.names_of(address, out);
  }
  [[nodiscard]] std::optional<Instant> expiry(NameId id,
                                              const wire::IpAddress& address) const override {
    const Guard guard(lock_);
    return pins_.expiry(id, address);
  }
  [[nodiscard]] std::optional<NameId> find(const wire::DomainName& name) const override {
    const Guard guard(lock_);
    return pins_.find(name);
  }
  [[nodiscard]] std::optional<wire::DomainName> name(NameId id) const override {
    const Guard guard(lock_);
    return SyntheticNames::is_synthetic(id) ? synthetic_.name(id) : pins_.name(id);
  }
  void hold(NameId id) override {
    const Guard guard(lock_);
    pins_.hold(id);
  }
  void release(NameId id) override {
    const Guard guard(lock_);
    pins_.release(id);
  }
  std::optional<NameId> give_synthetic(const wire::DomainName& name, SyntheticUse use) override {
    const Guard guard(lock_);
    return synthetic_.give(name, use);
  }
  [[nodiscard]] std::optional<NameId> synthetic_at(const wire::IpAddress& address) const override {
    const Guard guard(lock_);
    return synthetic_.at(address);
  }
  [[nodiscard]] bool spend(const wire::DomainName& domain, const wire::DomainName& name,
                           const BudgetLimits& limits, Instant now) override {
    const Guard guard(lock_);
    return budget_.spend(domain, name, limits, now);
  }
  [[nodiscard]] std::size_t pins() const override {
    const Guard guard(lock_);
    return pins_.pins();
  }

 private:
  class Guard {
   public:
    explicit Guard(Lock& lock) : lock_(lock) { lock_.lock(); }
    ~Guard() { lock_.unlock(); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    Lock& lock_;
  };

  mutable Lock lock_;
  Pins pins_;
  SyntheticNames synthetic_;
  NameBudget budget_;
};

}  // namespace sluice::dns
