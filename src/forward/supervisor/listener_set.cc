#include "forward/supervisor/listener_set.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "sys/socket_options.h"

namespace sluice::forward {
namespace {

[[nodiscard]] bool is_inet(const ListenerKey& spec) {
  return spec.kind == ListenerKind::kAddress || spec.kind == ListenerKind::kEverywhere;
}

[[nodiscard]] std::string bound_place(const Listener& listener, const std::string& device) {
  if (listener.spec.kind == ListenerKind::kActivated) return place_text(listener.spec);
  if (listener.spec.kind == ListenerKind::kUnix) return listener.spec.key;
  return fmt::format("{} {} {} {}", policy::to_string(listener.spec.protocol),
                     wire::to_string(listener.bound), listener.spec.scope_id, device);
}

// "rules.conf:12" or "rule 'web'", for a message about another rule.
[[nodiscard]] std::string mention(const Rule& rule) {
  std::string prefix = message_prefix(rule);
  if (prefix.empty()) return fmt::format("the rule at {}", to_string(rule.listen));
  prefix.resize(prefix.size() - std::string_view(": ").size());
  return prefix;
}

}  // namespace

const Listener* ListenerSet::find(const std::string& key, const Change& change) const {
  if (const auto fresh = change.opened_.find(key); fresh != change.opened_.end()) {
    return &fresh->second;
  }
  const auto old = listeners_.find(key);
  return old == listeners_.end() ? nullptr : &old->second;
}

// Whether a socket of ours, an old one, one of this change or one that lingers, has the port: then
// only ours can be what is in the way of binding there, as others were refused before.
bool ListenerSet::is_our_port(const ListenerKey& spec, const Change& change) const {
  const auto has_port = [&](const auto& entry) {
    const Listener& listener = entry.second;
    return is_inet(listener.spec) && listener.spec.protocol == spec.protocol &&
           listener.bound.port == spec.endpoint.port;
  };
  const auto has_udp_port = [&](const Lingering& old) {
    return spec.protocol == policy::Protocol::kUdp && old.port == spec.endpoint.port.value &&
           !old.rule.expired();
  };
  return std::ranges::any_of(listeners_, has_port) ||
         std::ranges::any_of(change.opened_, has_port) ||
         std::ranges::any_of(lingering_, has_udp_port) ||
         inherited_.has_port(spec.protocol, spec.endpoint.port);
}

std::expected<std::vector<ListenerKey>, std::string> ListenerSet::specs_of(
    const Rule& rule, std::size_t rule_number) const {
  if (rule.listen.inherited.empty()) return listener_keys(rule, rule_number);
  std::vector<ListenerKey> specs;
  for (const std::size_t position : inherited_.find(rule.listen.inherited)) {
    specs.push_back(activated_spec(rule, rule_number, position));
    if (is_listener(inherited_.activated()[position].socket, specs.back())) continue;
    return std::unexpected(
        fmt::format("systemd's socket '{}' does not fit: expected {}", rule.listen.inherited,
                    rule.listens_udp() ? "ListenDatagram=" : "ListenStream= with Accept=no"));
  }
  if (!specs.empty()) return specs;
  return std::unexpected(fmt::format(
      "systemd gave no socket '{}' ({} sockets in all); its name is FileDescriptorName= of the "
      ".socket unit",
      rule.listen.inherited, inherited_.activated().size()));
}

void ListenerSet::add_socket(Listener& listener, std::uint32_t worker, sys::KernelFd socket) {
  const int fd = socket.get();
  listener.sockets.push_back(
      {.id = next_id_++, .worker = worker, .fd = fd, .opened = std::move(socket)});
}

// One socket, a descriptor for each worker.
std::expected<void, sys::SetupError> ListenerSet::share(sys::KernelFd socket, Listener& listener) {
  for (std::uint32_t worker = 1; worker < workers_; ++worker) {
    auto copy = duplicate(socket);
    if (!copy) return std::unexpected(std::move(copy.error()));
    add_socket(listener, worker, std::move(*copy));
  }
  add_socket(listener, 0, std::move(socket));
  return {};
}

std::expected<void, sys::SetupError> ListenerSet::open_inet(const SocketPlan& options,
                                                            Change& change, Listener& listener) {
  ListenerKey spec = listener.spec;
  std::uint32_t worker = 0;
  for (sys::KernelFd& socket : inherited_.take_over(spec)) {
    listener.bound = sys::local_endpoint_of(socket).value_or(spec.endpoint);
    // The process before us may have set less.
    if (spec.protocol == policy::Protocol::kUdp) set_datagram_options(socket, options);
    add_socket(listener, worker++ % workers_, std::move(socket));
  }
  bool multipath_refused = false;
  for (; worker < workers_; ++worker) {
    const Sharing sharing = worker == 0 ? Sharing::kFirst : Sharing::kBesideOurOwn;
    // The others go where the first one went, if it could choose.
    if (worker > 0) spec.endpoint.port = listener.bound.port;
    auto opened = open_inet_listener(kernel_, spec, options, sharing);
    if (!opened && opened.error().error == EADDRINUSE && sharing == Sharing::kFirst &&
        is_our_port(spec, change)) {
      opened = open_inet_listener(kernel_, spec, options, Sharing::kBesideOurOwn);
    }
    if (!opened) return std::unexpected(std::move(opened.error()));
    listener.bound = opened->bound;
    multipath_refused |= opened->multipath_refused;
    add_socket(listener, worker, std::move(opened->socket));
  }
  if (multipath_refused) {
    change.warnings_.push_back(
        fmt::format("{}: this kernel has no multipath TCP; plain TCP is used", place_text(spec)));
  }
  return {};
}

std::expected<Listener, sys::SetupError> ListenerSet::open(const ListenerKey& spec,
                                                           const SocketPlan& options,
                                                           Change& change) {
  Listener listener{.spec = spec, .bound = {}, .sockets = {}, .path = {}, .rule = {}};
  std::expected<sys::KernelFd, sys::SetupError> socket;
  if (is_inet(spec)) {
    if (auto opened = open_inet(options, change, listener); !opened) {
      return std::unexpected(std::move(opened.error()));
    }
    return listener;
  }
  if (spec.kind == ListenerKind::kUnix) {
    std::vector<sys::KernelFd> handed = inherited_.take_over(spec);
    socket = handed.empty() ? open_unix_listener(kernel_, spec.path) : std::move(handed.front());
    if (socket) listener.path = sys::BoundPath(spec.path);
  } else {
    const sys::KernelFd& activated = inherited_.activated()[spec.activated].socket;
    if (spec.protocol == policy::Protocol::kUdp) {
      set_datagram_options(activated, options);
    } else {
      set_stream_options(activated, options);
    }
    listener.bound = sys::local_endpoint_of(activated).value_or(wire::Endpoint{});
    socket = duplicate(activated);
  }
  if (!socket) return std::unexpected(std::move(socket.error()));
  if (auto shared = share(std::move(*socket), listener); !shared) {
    return std::unexpected(std::move(shared.error()));
  }
  return listener;
}

std::expected<void, std::string> ListenerSet::add_spec(const Plan& plan, ListenerKey spec,
                                                       Change& change) {
  const Rule& rule = plan.rules[spec.rule];
  // Rules of one name that take any free port have one each.
  while (is_inet(spec) && spec.endpoint.port.value == 0 && change.has(spec.key)) spec.key += '+';
  const Listener* listener = find(spec.key, change);
  if (listener == nullptr) {
    auto opened = open(spec, rule.socket, change);
    if (!opened) return std::unexpected(message_prefix(rule) + describe(opened.error(), spec));
    listener = &change.opened_.emplace(spec.key, std::move(*opened)).first->second;
  }
  // By the place where it is bound in the end: the kernel would spread clients over two rules.
  const auto [taken, is_free] =
      change.places_.emplace(bound_place(*listener, rule.socket.listen_device), spec.rule);
  if (!is_free) {
    return std::unexpected(fmt::format("{}cannot listen on {}: {} listens there too; leave one out",
                                       message_prefix(rule), place_text(spec),
                                       mention(plan.rules[taken->second])));
  }
  change.keys_.insert(spec.key);
  change.specs_.push_back(std::move(spec));
  return {};
}

// All of a rule's listeners or, with an error, none.
std::expected<void, std::string> ListenerSet::add_rule(const Plan& plan, std::size_t rule_number,
                                                       Change& change) {
  const Rule& rule = plan.rules[rule_number];
  auto specs = specs_of(rule, rule_number);
  if (!specs) return std::unexpected(message_prefix(rule) + specs.error());
  const std::size_t before = change.specs_.size();
  std::string first_lack;  // Of the addresses of a name.
  for (ListenerKey& spec : *specs) {
    const bool may_lack = spec.one_of_many;
    auto added = add_spec(plan, std::move(spec), change);
    if (added) continue;
    if (!may_lack) {
      for (std::size_t i = before; i < change.specs_.size(); ++i) {
        change.keys_.erase(change.specs_[i].key);
      }
      change.specs_.resize(before);
      std::erase_if(change.places_, [&](const auto& place) { return place.second == rule_number; });
      return added;
    }
    if (first_lack.empty()) first_lack = std::move(added.error());
  }
  if (change.specs_.size() == before && !first_lack.empty()) return std::unexpected(first_lack);
  if (!first_lack.empty()) change.warnings_.push_back(std::move(first_lack));
  return {};
}

std::expected<ListenerSet::Change, std::string> ListenerSet::prepare(const Plan& plan,
                                                                     BadListeners bad) {
  Change change;
  for (std::size_t i = 0; i < plan.rules.size(); ++i) {
    auto added = add_rule(plan, i, change);
    if (added) continue;
    if (bad == BadListeners::kRefuse) return std::unexpected(std::move(added.error()));
    change.errors_.push_back(std::move(added.error()));
  }
  // What a rule opened before one of its listeners failed.
  std::erase_if(change.opened_, [&](const auto& entry) { return !change.has(entry.first); });
  change.closed_ = static_cast<std::size_t>(std::ranges::count_if(
      listeners_, [&](const auto& entry) { return !change.has(entry.first); }));
  return change;
}

std::vector<std::vector<WorkerListener>> ListenerSet::commit(
    Change change, std::span<const std::shared_ptr<LiveRule>> rules) {
  std::vector<std::vector<WorkerListener>> told(workers_);
  std::map<std::string, Listener> next;
  for (ListenerKey& spec : change.specs_) {
    auto& from = change.opened_.contains(spec.key) ? change.opened_ : listeners_;
    auto node = from.extract(spec.key);
    Listener& listener = node.mapped();
    for (ListenerSocket& socket : listener.sockets) {
      told[socket.worker].push_back({.id = socket.id,
                                     .rule = rules[spec.rule],
                                     .port = listener.bound.port.value,
                                     .port_offset = spec.port_offset,
                                     .socket = std::move(socket.opened)});
    }
    listener.rule = rules[spec.rule];
    listener.spec = std::move(spec);
    next.insert(std::move(node));
  }
  std::erase_if(lingering_, [](const Lingering& old) { return old.rule.expired(); });
  for (auto& [key, gone] : listeners_) {
    if (!is_inet(gone.spec) || gone.spec.protocol != policy::Protocol::kUdp) continue;
    lingering_.push_back({.port = gone.bound.port.value, .rule = std::move(gone.rule)});
  }
  listeners_ = std::move(next);
  return told;
}

void ListenerSet::Change::give_to(uid_t uid, gid_t gid) const {
  for (const auto& [key, listener] : opened_) {
    for (const ListenerSocket& socket : listener.sockets) {
      // What cannot be given is served all the same.
      [[maybe_unused]] const int given = ::fchown(socket.fd, uid, gid);
    }
  }
}

std::vector<PassedSocket> ListenerSet::passed_sockets() const {
  std::vector<PassedSocket> handed;
  for (const ActivatedSocket& activated : inherited_.activated()) {
    handed.push_back({PassedKind::kActivated, activated.socket.get(), activated.name});
  }
  for (const auto& [key, listener] : listeners_) {
    if (listener.spec.kind == ListenerKind::kActivated) continue;
    for (const ListenerSocket& socket : listener.sockets) {
      handed.push_back({PassedKind::kListener, socket.fd, key});
      if (listener.spec.kind == ListenerKind::kUnix) break;  // The others are the same socket.
    }
  }
  return handed;
}

void ListenerSet::forget_paths() {
  for (auto& [key, listener] : listeners_) listener.path.forget();
}

void ListenerSet::remove_paths() {
  for (auto& [key, listener] : listeners_) listener.path.remove();
}

}  // namespace sluice::forward
