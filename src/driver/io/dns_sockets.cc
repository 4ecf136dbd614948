#include "driver/io/dns_sockets.h"

#include <algorithm>
#include <utility>

#include "wire/messages/dns.h"

namespace sluice::driver {
namespace {

constexpr std::uint32_t kPlaceMask = 0xffff;

}  // namespace

void DnsSockets::ask(dns::DnsSlot slot, const wire::Endpoint& resolver, std::uint32_t scope_id,
                     ByteView message, Instant now, std::vector<dns::DnsSlot>& failed) {
  const std::uint16_t id = be16<0>(message.first<2>());
  const SlabHandle handle = socket_for(resolver, scope_id, id, now);
  Socket* socket = sockets_.find(handle);
  if (socket == nullptr) {
    failed.push_back(slot);
    return;
  }
  if (batch_socket_ != handle) flush(failed);
  batch_socket_ = handle;
  batch_.push_back(
      {slot, {.iov_base = const_cast<std::uint8_t*>(message.data()), .iov_len = message.size()}});
  const std::size_t place = slot.value & kPlaceMask;
  if (places_.size() <= place) places_.resize(place + 1);
  places_[place] = {slot, handle};
  socket->waiting.push_back({id, slot});
  if (++socket->asked >= kQuestionsEach) retire(handle);
}

void DnsSockets::flush(std::vector<dns::DnsSlot>& failed) {
  if (batch_.empty()) return;
  std::array<host::OutgoingDatagram, kQuestionsEach> datagrams;
  Socket* socket = sockets_.find(batch_socket_);
  for (std::size_t i = 0; i < batch_.size(); ++i) datagrams[i].payload = {&batch_[i].part, 1};
  bool broken = false;
  std::size_t done = 0;
  while (socket != nullptr && done < batch_.size()) {
    const auto sent =
        socket->socket.send(scratch_, std::span(datagrams).subspan(done, batch_.size() - done));
    if (sent && *sent == 0) break;  // Full, which only a network that stands still explains.
    if (!sent) failed.push_back(batch_[done].slot);
    broken = broken || !sent;
    done += sent.value_or(1);
  }
  if (broken) retire(batch_socket_);
  for (; done < batch_.size(); ++done) failed.push_back(batch_[done].slot);
  batch_.clear();
  batch_socket_ = {};
}

SlabHandle DnsSockets::socket_for(const wire::Endpoint& resolver, std::uint32_t scope_id,
                                  std::uint16_t id, Instant now) {
  for (const SlabHandle handle : current_) {
    const Socket& socket = sockets_.at(handle.index);
    if (socket.resolver != resolver || socket.scope_id != scope_id) continue;
    // Two questions with one id could not be told apart.
    const bool taken = std::ranges::find(socket.waiting, id, &Question::id) != socket.waiting.end();
    if (!taken && now < socket.opened + kOpenFor) return handle;
    retire(handle);
    break;
  }
  return open(resolver, scope_id, now);
}

SlabHandle DnsSockets::open(const wire::Endpoint& resolver, std::uint32_t scope_id, Instant now) {
  if (buffer_ == nullptr) {
    buffer_ = std::make_unique_for_overwrite<std::uint8_t[]>(kBatch * kMessageMax);
  }
  host::UdpOptions options{.receive_offload = false};
  if (const host::Outbound::Way* const way = outbound_.way_to(resolver.address)) {
    options.device = way->device;
    if (way->address) options.bind = wire::Endpoint{*way->address, {}};
  }
  auto socket = host::UdpSocket::open(kernel_, resolver.address.family(), options);
  if (!socket || !socket->connect(resolver, scope_id)) return {};
  const SlabHandle handle = sockets_.emplace(Socket{.socket = std::move(*socket),
                                                    .resolver = resolver,
                                                    .scope_id = scope_id,
                                                    .opened = now,
                                                    .current = true});
  if (!loop_.add(sockets_.at(handle.index).socket.fd(), EPOLLIN,
                 EventTag::of(EventKind::kDnsUdp, handle).pack())) {
    sockets_.erase(handle);
    return {};
  }
  current_.push_back(handle);
  return handle;
}

void DnsSockets::retire(SlabHandle handle) {
  Socket* socket = sockets_.find(handle);
  if (socket == nullptr) return;
  if (std::exchange(socket->current, false)) std::erase(current_, handle);
  close_if_unused(handle);
}

void DnsSockets::close_if_unused(SlabHandle handle) {
  const Socket& socket = sockets_.at(handle.index);
  if (!socket.current && socket.waiting.empty()) sockets_.erase(handle);
}

void DnsSockets::forget(dns::DnsSlot slot) {
  const std::size_t place = slot.value & kPlaceMask;
  if (place >= places_.size() || places_[place].slot != slot) return;
  const SlabHandle handle = std::exchange(places_[place], {}).socket;
  Socket* socket = sockets_.find(handle);
  if (socket == nullptr) return;
  std::erase_if(socket->waiting, [&](const Question& question) { return question.slot == slot; });
  close_if_unused(handle);
}

// Whether ICMP says that the resolver is not there. An error also waits in the queue, which epoll
// tells of until it is empty.
bool DnsSockets::is_refused(Socket& socket) {
  std::array<std::uint8_t, 64> quote{};
  bool refused = false;
  for (std::size_t i = 0; i < kQuestionsEach; ++i) {
    const auto report = socket.socket.read_errors(quote);
    if (!report || !*report) break;
    refused = refused || host::is_refusal(**report);
  }
  return refused;
}

void DnsSockets::on_event(const EventTag& tag, std::uint32_t events, const Deliver& deliver,
                          std::vector<dns::DnsSlot>& failed) {
  const SlabHandle handle = tag.handle_in(sockets_);
  Socket* socket = sockets_.find(handle);
  if (socket == nullptr) return;
  const bool refused = (events & EPOLLERR) != 0 && is_refused(*socket);
  std::array<iovec, kBatch> parts;
  std::array<host::IncomingDatagram, kBatch> datagrams;
  for (std::size_t i = 0; i < kBatch; ++i) {
    parts[i] = {.iov_base = buffer_.get() + i * kMessageMax, .iov_len = kMessageMax};
    datagrams[i].buffer = {&parts[i], 1};
  }
  const auto count = socket->socket.receive(scratch_, datagrams);
  for (std::size_t i = 0; i < count.value_or(0); ++i) {
    const ByteView message(buffer_.get() + i * kMessageMax, datagrams[i].length);
    if (message.size() < wire::kDnsHeaderSize || datagrams[i].source != socket->resolver) continue;
    const auto asked =
        std::ranges::find(socket->waiting, be16<0>(message.first<2>()), &Question::id);
    if (asked != socket->waiting.end()) deliver(asked->slot, message);
  }
  if (!refused && count) return;
  for (const Question& question : socket->waiting) failed.push_back(question.slot);
  retire(handle);
}

}  // namespace sluice::driver
