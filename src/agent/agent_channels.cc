#include "agent/agent_channels.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace sluice::agent {
namespace {

bool is_closed(const UniqueFd& channel) {
  char first = 0;
  return ::recv(channel.get(), &first, sizeof first, MSG_PEEK | MSG_DONTWAIT) == 0;
}

}  // namespace

AgentChannels::AgentChannels(std::vector<UniqueFd> channels) : channels_(std::move(channels)) {}

std::size_t AgentChannels::open() const {
  return static_cast<std::size_t>(std::ranges::count_if(channels_, &UniqueFd::valid));
}

std::vector<std::size_t> AgentChannels::wait(Duration at_most) const {
  std::vector<pollfd> items;
  for (const UniqueFd& channel : channels_) {
    items.push_back({.fd = channel.get(), .events = POLLIN, .revents = 0});
  }
  std::vector<std::size_t> found;
  if (!wait_for_news(items, at_most)) return found;
  for (std::size_t worker = 0; worker < items.size(); ++worker) {
    if (items[worker].revents != 0) found.push_back(worker);
  }
  return found;
}

bool AgentChannels::await_news(Duration at_most) {
  for (const std::size_t worker : wait(at_most)) {
    if (is_closed(channels_[worker])) channels_[worker].reset();
  }
  return open() > 0;
}

std::optional<std::vector<AgentChannels::Order>> AgentChannels::receive(Duration at_most) {
  const std::size_t workers = open();
  if (workers == 0) return std::nullopt;
  std::vector<std::size_t> heard;
  if (workers == 1) {
    // To wait and to receive is one call then.
    const auto only = std::ranges::find_if(channels_, &UniqueFd::valid);
    heard.push_back(static_cast<std::size_t>(only - channels_.begin()));
  } else {
    heard = wait(at_most);
    at_most = kForever;  // There is something.
  }
  std::vector<Order> out;
  for (const std::size_t worker : heard) {
    auto orders = receive_orders(channels_[worker].get(), at_most);
    if (!orders) {
      channels_[worker].reset();
      continue;
    }
    for (const AgentOrder& order : *orders) out.push_back({worker, order});
  }
  if (out.empty() && open() == 0) return std::nullopt;
  return out;
}

}  // namespace sluice::agent
