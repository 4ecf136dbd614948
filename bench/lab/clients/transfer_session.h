// The server's end of one transfer (transfer.h), on a non-blocking socket. The owner waits for
// what wanted() names and calls step(), which moves at most one buffer each way.
#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "clients/transfer.h"

namespace sluice::bench {

class TransferSession {
 public:
  explicit TransferSession(int fd) : fd_(fd) {}

  // EPOLLIN, EPOLLOUT or both.
  [[nodiscard]] std::uint32_t wanted() const {
    const bool held_back = asked_ && request_.direction == Direction::kBack && !unsent_.empty();
    std::uint32_t events = 0;
    if (!peer_ended_ && !held_back) events |= EPOLLIN;
    if (!unsent_.empty() || streams_left() > 0 || answer_is_due()) events |= EPOLLOUT;
    return events;
  }

  // `scratch` is for reading only; it may be shared between sessions. False when it is over.
  bool step(std::uint32_t events, std::span<char> scratch) {
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && (wanted() & EPOLLIN) != 0 &&
        !read(scratch)) {
      return false;
    }
    return (wanted() & EPOLLOUT) == 0 || write();
  }

 private:
  static constexpr std::size_t kChunk = 256 * 1024;

  bool read(std::span<char> scratch) {
    const ssize_t got = ::recv(fd_, scratch.data(), std::min(scratch.size(), kChunk), 0);
    if (got < 0) return errno == EAGAIN;
    if (got == 0) {
      peer_ended_ = true;
      return asked_;
    }
    std::span<const char> bytes = scratch.first(static_cast<std::size_t>(got));
    if (!asked_ && !take_request(bytes)) return false;
    if (asked_) take(bytes);
    return true;
  }

  // Cuts the request off `bytes`. False when it is none.
  bool take_request(std::span<const char>& bytes) {
    const auto end = std::find(bytes.begin(), bytes.end(), '\n');
    line_.append(bytes.begin(), end);
    if (line_.size() > kRequestLargest) return false;
    if (end == bytes.end()) return true;
    bytes = bytes.subspan(static_cast<std::size_t>(end - bytes.begin()) + 1);
    const auto request = parse_request(line_);
    if (!request) return false;
    request_ = *request;
    asked_ = true;
    if (request_.direction != Direction::kBack) {
      expected_ = std::make_unique<Stream>(request_.seed);
      own_ = std::make_unique<Stream>(request_.seed + 1);
    }
    return true;
  }

  void take(std::span<const char> bytes) {
    if (request_.direction == Direction::kBack) {
      chunk_.assign(bytes.begin(), bytes.end());
      unsent_ = chunk_;
    } else if (totals_.wrong < 0) {
      note_wrong(expected_->first_difference(totals_.received, bytes));
    }
    received_hash_.add(bytes);
    totals_.received += bytes.size();
  }

  void note_wrong(const std::optional<std::uint64_t>& offset) {
    if (offset) totals_.wrong = static_cast<std::int64_t>(*offset);
  }

  [[nodiscard]] std::uint64_t streams_left() const {
    return own_ != nullptr && request_.server_sends() ? request_.size - generated_ : 0;
  }
  [[nodiscard]] bool answer_is_due() const {
    return peer_ended_ && !answered_ && unsent_.empty() && streams_left() == 0;
  }

  bool write() {
    if (unsent_.empty() && streams_left() > 0) {
      chunk_.resize(std::min<std::uint64_t>(kChunk, streams_left()));
      own_->fill(generated_, chunk_);
      generated_ += chunk_.size();
      unsent_ = chunk_;
    }
    if (answer_is_due()) {
      totals_.received_hash = received_hash_.value();
      totals_.sent_hash = sent_hash_.value();
      check_length();
      const std::string answer = format_totals(totals_);
      chunk_.assign(answer.begin(), answer.end());
      unsent_ = chunk_;
      answered_ = true;
    }
    if (unsent_.empty()) return true;
    const ssize_t sent = ::send(fd_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    const auto size = static_cast<std::size_t>(sent);
    if (!answered_) {
      sent_hash_.add(unsent_.first(size));
      totals_.sent += size;
    }
    unsent_ = unsent_.subspan(size);
    return !answered_ || !unsent_.empty();
  }

  // A stream that ends early or late is wrong from where it should have gone on or ended.
  void check_length() {
    const std::uint64_t due = request_.client_sends() ? request_.size : 0;
    if (totals_.wrong < 0 && totals_.received != due) {
      totals_.wrong = static_cast<std::int64_t>(std::min(due, totals_.received));
    }
  }

  int fd_;  // Not owned.
  std::string line_;
  bool asked_ = false;
  bool peer_ended_ = false;
  bool answered_ = false;
  TransferRequest request_;
  std::unique_ptr<Stream> expected_;
  std::unique_ptr<Stream> own_;
  std::vector<char> chunk_;
  std::span<const char> unsent_;  // Of chunk_.
  std::uint64_t generated_ = 0;
  StreamHash received_hash_;
  StreamHash sent_hash_;
  TransferTotals totals_;
};

}  // namespace sluice::bench
