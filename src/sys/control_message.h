// Builds and reads the ancillary data (cmsg(3)) of datagram sockets.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "base/unique_fd.h"
#include "sys/sockaddr.h"
#include "wire/address.h"

namespace sluice::sys {

// Appends control messages to a buffer of the caller's, which must be aligned for cmsghdr and
// roomy enough: what does not fit would be our bug and is left out.
class ControlWriter {
 public:
  explicit ControlWriter(std::span<std::uint8_t> buffer) : buffer_(buffer) {}

  template <typename T>
  void add(int level, int type, const T& value) {
    const std::size_t space = CMSG_SPACE(sizeof value);
    if (space > buffer_.size() - used_) return;
    std::uint8_t* at = buffer_.data() + used_;
    std::memset(at, 0, space);
    auto* header = reinterpret_cast<cmsghdr*>(at);
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(sizeof value);
    std::memcpy(CMSG_DATA(header), &value, sizeof value);
    used_ += space;
  }

  // Descriptors to pass on (unix(7)): the receiver gets copies.
  void add_descriptors(std::span<const int> descriptors) {
    const std::size_t space = CMSG_SPACE(descriptors.size_bytes());
    if (descriptors.empty() || space > buffer_.size() - used_) return;
    std::uint8_t* at = buffer_.data() + used_;
    std::memset(at, 0, space);
    auto* header = reinterpret_cast<cmsghdr*>(at);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
    used_ += space;
  }

  // TTL or hop limit of this message only.
  void add_hop_limit(wire::IpFamily family, std::uint8_t hop_limit) {
    const int value = hop_limit;
    if (family == wire::IpFamily::kV4) {
      add(IPPROTO_IP, IP_TTL, value);
    } else {
      add(IPPROTO_IPV6, IPV6_HOPLIMIT, value);
    }
  }

  // The local address to send from.
  void add_source(const wire::IpAddress& source) {
    if (source.is_v4()) {
      in_pktinfo info{};
      info.ipi_spec_dst = to_in_addr(source);
      add(IPPROTO_IP, IP_PKTINFO, info);
    } else {
      in6_pktinfo info{};
      info.ipi6_addr = to_in6_addr(source);
      add(IPPROTO_IPV6, IPV6_PKTINFO, info);
    }
  }

  void attach_to(msghdr& message) const {
    message.msg_control = used_ == 0 ? nullptr : buffer_.data();
    message.msg_controllen = used_;
  }

 private:
  std::span<std::uint8_t> buffer_;
  std::size_t used_ = 0;
};

// The value of a control message, when it is of this level and type and long enough.
template <typename T>
[[nodiscard]] std::optional<T> control_value(const cmsghdr& header, int level, int type) {
  if (header.cmsg_level != level || header.cmsg_type != type) return std::nullopt;
  if (header.cmsg_len < CMSG_LEN(sizeof(T))) return std::nullopt;
  T value{};
  std::memcpy(&value, CMSG_DATA(&header), sizeof value);
  return value;
}

// The descriptors that came with a message; ours from here on.
[[nodiscard]] inline std::vector<UniqueFd> take_descriptors(msghdr& message) {
  std::vector<UniqueFd> out;
  for (cmsghdr* item = CMSG_FIRSTHDR(&message); item != nullptr;
       item = CMSG_NXTHDR(&message, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(item) + i * sizeof fd, sizeof fd);
      out.emplace_back(fd);
    }
  }
  return out;
}

}  // namespace sluice::sys
