#include "forward/supervisor/resolver.h"

#include <ares.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "sys/sockaddr.h"
#include "telemetry/log.h"

namespace sluice::forward {
namespace {

// Each server of resolv.conf has 1.5 s until the next is asked. A single one is asked once more and
// has another 3 s.
constexpr int kFirstTimeoutMs = 1'500;
[[nodiscard]] int tries_with(std::size_t servers) { return servers > 1 ? 1 : 2; }

[[nodiscard]] std::string text_of(const std::vector<wire::IpAddress>& addresses) {
  std::string text;
  for (const wire::IpAddress& address : addresses) {
    if (!text.empty()) text += ", ";
    text += to_string(address);
  }
  return text;
}

[[nodiscard]] bool same_set(std::vector<wire::IpAddress> a, std::vector<wire::IpAddress> b) {
  std::ranges::sort(a);
  std::ranges::sort(b);
  return a == b;
}

[[nodiscard]] bool is_same(const std::weak_ptr<LiveRule>& a, const std::shared_ptr<LiveRule>& b) {
  return !a.owner_before(b) && !b.owner_before(a);
}

[[nodiscard]] std::vector<wire::IpAddress> addresses_of(const ares_addrinfo& result) {
  std::vector<wire::IpAddress> addresses;
  for (const ares_addrinfo_node* node = result.nodes; node != nullptr; node = node->ai_next) {
    sockaddr_storage storage{};
    const auto length = std::min<std::size_t>(node->ai_addrlen, sizeof storage);
    std::memcpy(&storage, node->ai_addr, length);
    const auto endpoint = sys::from_sockaddr(storage, static_cast<socklen_t>(length));
    if (!endpoint || std::ranges::find(addresses, endpoint->address) != addresses.end()) continue;
    addresses.push_back(endpoint->address);
  }
  return addresses;
}

// The shortest of the addresses' and of the aliases' on the way to them.
[[nodiscard]] Duration ttl_of(const ares_addrinfo& result) {
  Duration ttl = Resolver::kRefreshMax;
  const auto bound_by = [&](int seconds) {
    ttl = std::min<Duration>(ttl, std::chrono::seconds{std::max(seconds, 0)});
  };
  for (const auto* node = result.nodes; node != nullptr; node = node->ai_next) {
    bound_by(node->ai_ttl);
  }
  for (const auto* alias = result.cnames; alias != nullptr; alias = alias->next) {
    bound_by(alias->ttl);
  }
  return ttl;
}

// The name's servers answered, and the answer is that there is no such thing.
[[nodiscard]] bool is_answer(int status) {
  return status == ARES_SUCCESS || status == ARES_ENOTFOUND || status == ARES_ENODATA;
}

}  // namespace

void Resolver::CloseChannel::operator()(ares_channeldata* channel) const { ares_destroy(channel); }

Resolver::Resolver(sys::EventLoop& loop, std::uint64_t tag_base, const ResolverOptions& options)
    : loop_(loop), tag_base_(tag_base), options_(options), config_(options.resolv_conf) {}

std::expected<std::unique_ptr<Resolver>, std::string> Resolver::create(
    sys::EventLoop& loop, std::uint64_t tag_base, const ResolverOptions& options) {
  if (const int status = ares_library_init(ARES_LIB_INIT_ALL); status != ARES_SUCCESS) {
    return std::unexpected(std::string("c-ares: ") + ares_strerror(status));
  }
  std::unique_ptr<Resolver> resolver(new Resolver(loop, tag_base, options));
  (void)resolver->config_.load();
  auto channel = resolver->open_channel();
  if (!channel) return std::unexpected(std::move(channel.error()));
  resolver->channel_ = std::move(*channel);
  return resolver;
}

Resolver::~Resolver() {
  channel_.reset();  // Answers every question under way, for which the names are still needed.
  ares_library_cleanup();
}

std::expected<Resolver::Channel, std::string> Resolver::open_channel() {
  ares_options options{};
  options.timeout = kFirstTimeoutMs;
  options.tries = tries_with(config_.current().resolvers.size());
  std::string lookups = "fb";  // Files, then DNS, whatever nsswitch.conf says.
  options.lookups = lookups.data();
  std::string path = options_.resolv_conf;
  options.resolvconf_path = path.data();
  options.udp_port = options_.port;
  options.tcp_port = options_.port;
  // Our own reading leaves out "search .", from which c-ares 1.18 makes a name with two dots.
  std::vector<char*> domains;
  std::vector<std::string> search = config_.current().search;
  for (std::string& domain : search) domains.push_back(domain.data());
  options.domains = domains.data();
  options.ndomains = static_cast<int>(domains.size());
  options.sock_state_cb = &Resolver::on_socket;
  options.sock_state_cb_data = this;
  ares_channel channel = nullptr;
  const int status = ares_init_options(
      &channel, &options,
      ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_RESOLVCONF |
          ARES_OPT_UDP_PORT | ARES_OPT_TCP_PORT | ARES_OPT_DOMAINS | ARES_OPT_SOCK_STATE_CB);
  if (status != ARES_SUCCESS) {
    return std::unexpected(std::string("c-ares: ") + ares_strerror(status));
  }
  return Channel(channel);
}

void Resolver::watch(const std::shared_ptr<LiveRule>& rule, Instant now) {
  for (std::uint32_t i = 0; i < rule->targets.size(); ++i) {
    if (!rule->targets.is_name(i)) continue;
    const std::string& text = rule->plan.targets[i].place.host;
    std::unique_ptr<Name>& name = names_[text];
    if (name == nullptr) {
      name = std::make_unique<Name>();
      name->resolver = this;
      name->text = text;
      name->due = now;
    }
    const auto is_watcher = [&](const Watcher& watcher) {
      return watcher.target == i && is_same(watcher.rule, rule);
    };
    if (std::ranges::any_of(name->watchers, is_watcher)) continue;
    name->watchers.push_back({.rule = rule, .target = i});
    if (!name->addresses.empty()) rule->targets.set_addresses(i, name->addresses);
  }
  ask_due(now);
}

void Resolver::on_event(int fd, std::uint32_t events, Instant now) {
  const bool failed = (events & (EPOLLERR | EPOLLHUP)) != 0;
  const bool readable = failed || (events & EPOLLIN) != 0;
  const bool writable = failed || (events & EPOLLOUT) != 0;
  ares_process_fd(channel_.get(), readable ? fd : ARES_SOCKET_BAD, writable ? fd : ARES_SOCKET_BAD);
  settle_answers(now);
  update_deadline(now);
}

void Resolver::on_time(Instant now) {
  ares_process_fd(channel_.get(), ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // Timeouts only.
  settle_answers(now);
  drop_unwatched(now);
  ask_due(now);
}

Instant Resolver::next_deadline() const {
  Instant deadline = query_deadline_;
  for (const auto& [text, name] : names_) {
    if (name->asking < kQuestionsMax) deadline = std::min(deadline, name->due);
  }
  return deadline;
}

bool Resolver::settled() const {
  return std::ranges::all_of(names_, [](const auto& entry) { return entry.second->settled; });
}

void Resolver::ask_due(Instant now) {
  const auto is_due = [&](const auto& entry) {
    return entry.second->asking < kQuestionsMax && entry.second->due <= now;
  };
  if (std::ranges::any_of(names_, is_due)) follow_config(now);
  for (const auto& entry : names_) {
    if (is_due(entry)) ask(*entry.second, now);
  }
  settle_answers(now);
  update_deadline(now);
}

// c-ares 1.18 cannot read resolv.conf again, so the channel is made anew. So it is where a server
// failed: its socket may be bound to an address that the host has no more.
void Resolver::follow_config(Instant now) {
  const bool is_new = config_.refresh(now);
  if (!is_new && !server_failed_) return;
  auto fresh = open_channel();
  if (!fresh) {
    telemetry::log_warn("{}; the old name servers go on", fresh.error());
    return;
  }
  for (const auto& [text, name] : names_) {
    if (is_new && name->asking != 0) name->due = now;
  }
  channel_ = std::move(*fresh);
  server_failed_ = false;
  settle_answers(now);
}

Duration Resolver::outage_interval() const {
  const Duration shared = std::chrono::seconds{1} * static_cast<int>(names_.size()) / kOutageRate;
  return std::max(kAskAgain, shared);
}

void Resolver::ask(Name& name, Instant now) {
  ++name.asking;
  name.due = now + outage_interval();
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;  // Each address once.
  asking_ = true;
  ares_getaddrinfo(channel_.get(), name.text.c_str(), nullptr, &hints, &Resolver::on_answer,
                   new Question{&name, name.round});
  asking_ = false;
}

void Resolver::on_answer(void* question, int status, int /*timeouts*/, ares_addrinfo* result) {
  const std::unique_ptr<Question> owned(static_cast<Question*>(question));
  const Name& asked = *owned->name;
  Answer answer{.question = *owned, .status = status, .addresses = {}, .ttl = {}};
  if (result != nullptr) {
    answer.addresses = addresses_of(*result);
    answer.ttl = asked.resolver->asking_ ? kHostsRefresh : ttl_of(*result);
    ares_freeaddrinfo(result);
  }
  asked.resolver->answers_.push_back(std::move(answer));
}

void Resolver::on_socket(void* resolver, int fd, int readable, int writable) {
  Resolver& self = *static_cast<Resolver*>(resolver);
  const std::uint32_t events = (readable != 0 ? static_cast<std::uint32_t>(EPOLLIN) : 0U) |
                               (writable != 0 ? static_cast<std::uint32_t>(EPOLLOUT) : 0U);
  const auto known = self.sockets_.find(fd);
  const std::uint64_t tag = self.tag_base_ | static_cast<std::uint32_t>(fd);
  // What epoll refuses ends as a timeout of the question.
  if (events == 0) {
    if (known != self.sockets_.end()) self.sockets_.erase(known);
    (void)self.loop_.remove(fd);
  } else if (known == self.sockets_.end()) {
    if (self.loop_.add(fd, events, tag)) self.sockets_[fd] = events;
  } else if (known->second != events) {
    if (self.loop_.modify(fd, events, tag)) known->second = events;
  }
}

void Resolver::settle_answers(Instant now) {
  for (Answer& answer : std::exchange(answers_, {})) {
    Name& name = *answer.question.name;
    --name.asking;
    if (answer.question.round != name.round) continue;
    if (answer.status == ARES_EDESTRUCTION) continue;  // Its channel was made anew.
    if (!is_answer(answer.status)) server_failed_ = true;
    if (answer.status == ARES_SUCCESS && !answer.addresses.empty()) {
      accept(name, answer, now);
    } else {
      reject(name, answer.status == ARES_SUCCESS ? ARES_ENODATA : answer.status, now);
    }
    name.settled = true;
  }
}

void Resolver::accept(Name& name, Answer& answer, Instant now) {
  name.due = now + std::clamp(answer.ttl, kRefreshMin, kRefreshMax);
  ++name.round;
  const bool changed = !same_set(name.addresses, answer.addresses);
  if (name.failing || (changed && name.settled)) {
    telemetry::log_info("'{}' is now {}", name.text, text_of(answer.addresses));
  }
  name.failing = false;
  // Servers turn the order round at each answer; targets take turns of their own.
  if (!changed) return;
  name.addresses = std::move(answer.addresses);
  for (const Watcher& watcher : name.watchers) {
    if (const auto rule = watcher.rule.lock()) {
      rule->targets.set_addresses(watcher.target, name.addresses);
    }
  }
}

void Resolver::reject(Name& name, int status, Instant now) {
  const Duration wait = is_answer(status) ? kRetryAfter : outage_interval();
  // A question that lasted long has others behind it.
  if (is_answer(status)) ++name.round;
  if (is_answer(status) || name.asking == 0) name.due = now + wait;
  if (!std::exchange(name.failing, true)) {
    telemetry::log_warn("cannot resolve '{}': {}; {}; asking again every {} s", name.text,
                        ares_strerror(status),
                        name.addresses.empty() ? "its targets are not used" : "its addresses stay",
                        wait / std::chrono::seconds{1});
  }
}

void Resolver::drop_unwatched(Instant now) {
  std::erase_if(names_, [&](auto& entry) {
    Name& name = *entry.second;
    if (name.asking != 0 || name.due > now) return false;
    std::erase_if(name.watchers, [](const Watcher& watcher) { return watcher.rule.expired(); });
    return name.watchers.empty();
  });
}

void Resolver::update_deadline(Instant now) {
  timeval left{};
  if (ares_timeout(channel_.get(), nullptr, &left) == nullptr) {
    query_deadline_ = kNever;
    return;
  }
  query_deadline_ =
      now + std::chrono::seconds(left.tv_sec) + std::chrono::microseconds(left.tv_usec);
}

}  // namespace sluice::forward
