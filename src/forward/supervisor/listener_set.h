// All listening sockets of a forwarder, over reloads and hand-overs.
//
// A change is prepared, which opens what is new and can fail without a trace, and then committed,
// which cannot. Listeners are compared by ListenerKey::key: those that stay are not touched.
//
// Each worker has a socket of its own for each port (SO_REUSEPORT), or more than one when an older
// process with more workers handed over: every queue must be served. A UNIX socket and one of
// systemd's is one socket, of which each worker has a descriptor.
//
// The workers own the sockets; the set remembers their numbers, which are good until a commit takes
// the listener away. Used by the supervisor's thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "forward/listen/inherited_sockets.h"
#include "forward/listen/listener_key.h"
#include "forward/listen/listener_open.h"
#include "forward/listen/upgrade.h"
#include "forward/plan.h"
#include "forward/worker/worker.h"
#include "sys/kernel.h"
#include "sys/unix_socket.h"

namespace sluice::forward {

// One socket of one worker.
struct ListenerSocket {
  std::uint64_t id = 0;
  std::uint32_t worker = 0;
  int fd = -1;           // Borrowed from the worker once it has it.
  sys::KernelFd opened;  // Until then.
};

struct Listener {
  ListenerKey spec;
  wire::Endpoint bound;  // Of kAddress and kEverywhere.
  std::vector<ListenerSocket> sockets;
  sys::BoundPath path;
  std::weak_ptr<LiveRule> rule;  // Since the last commit.
};

// Whether a listener that cannot be opened spoils the whole plan.
enum class BadListeners : std::uint8_t { kRefuse, kSkip };

class ListenerSet {
 public:
  // Prepared; dropping it closes what it opened.
  class Change {
   public:
    [[nodiscard]] std::size_t opened() const { return opened_.size(); }
    [[nodiscard]] std::size_t closed() const { return closed_; }
    // What was skipped, and what is not as it was asked for. One line each.
    [[nodiscard]] const std::vector<std::string>& errors() const { return errors_; }
    [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }
    // The kernel lets sockets of one user alone share a port (SO_REUSEPORT), and it shares it with
    // those that a reload opens.
    void give_to(uid_t uid, gid_t gid) const;

   private:
    friend class ListenerSet;
    [[nodiscard]] bool has(const std::string& key) const { return keys_.contains(key); }
    std::vector<ListenerKey> specs_;
    std::set<std::string> keys_;                 // Of specs_.
    std::map<std::string, std::size_t> places_;  // Where each is bound, and its rule.
    std::map<std::string, Listener> opened_;     // By key.
    std::size_t closed_ = 0;
    std::vector<std::string> errors_;
    std::vector<std::string> warnings_;
  };

  ListenerSet(sys::Kernel& kernel, InheritedSockets& inherited, std::uint32_t workers)
      : kernel_(kernel), inherited_(inherited), workers_(workers) {}

  // The error names the rule, the place and the cause, in one line.
  [[nodiscard]] std::expected<Change, std::string> prepare(const Plan& plan, BadListeners bad);
  // What each worker must be told. `rules` are those of the plan, in its order.
  [[nodiscard]] std::vector<std::vector<WorkerListener>> commit(
      Change change, std::span<const std::shared_ptr<LiveRule>> rules);

  [[nodiscard]] std::size_t size() const { return listeners_.size(); }
  [[nodiscard]] const std::map<std::string, Listener>& listeners() const { return listeners_; }
  // For a new process: every socket.
  [[nodiscard]] std::vector<PassedSocket> passed_sockets() const;
  // UNIX sockets stay in the file system: they are another process's now.
  void forget_paths();
  // No new client shall find them.
  void remove_paths();

 private:
  [[nodiscard]] std::expected<std::vector<ListenerKey>, std::string> specs_of(
      const Rule& rule, std::size_t rule_number) const;
  [[nodiscard]] std::expected<void, std::string> add_rule(const Plan& plan, std::size_t rule_number,
                                                          Change& change);
  [[nodiscard]] std::expected<void, std::string> add_spec(const Plan& plan, ListenerKey spec,
                                                          Change& change);
  [[nodiscard]] std::expected<Listener, sys::SetupError> open(const ListenerKey& spec,
                                                              const SocketPlan& options,
                                                              Change& change);
  [[nodiscard]] std::expected<void, sys::SetupError> open_inet(const SocketPlan& options,
                                                               Change& change, Listener& listener);
  [[nodiscard]] std::expected<void, sys::SetupError> share(sys::KernelFd socket,
                                                           Listener& listener);
  void add_socket(Listener& listener, std::uint32_t worker, sys::KernelFd socket);
  [[nodiscard]] bool is_our_port(const ListenerKey& spec, const Change& change) const;
  [[nodiscard]] const Listener* find(const std::string& key, const Change& change) const;

  sys::Kernel& kernel_;
  InheritedSockets& inherited_;
  std::uint32_t workers_;
  std::uint64_t next_id_ = 1;
  std::map<std::string, Listener> listeners_;  // By key.
  // UDP listeners that are no more. Workers keep a socket, and its rule, as long as it has
  // sessions.
  struct Lingering {
    std::uint16_t port = 0;
    std::weak_ptr<LiveRule> rule;
  };
  std::vector<Lingering> lingering_;
};

}  // namespace sluice::forward
