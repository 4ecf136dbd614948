// Serves the page of `sluice web` on one address, to whoever opened it by the URL with the token
// (access.h), and what it asks of runs (run_book.h). libmicrohttpd reads requests; all of it is
// bounded: connections, what they send, what waits for them. One thread.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "base/unique_fd.h"
#include "sys/event_loop.h"
#include "web/access.h"
#include "web/microhttpd.h"
#include "web/page_request.h"
#include "web/run_book.h"

namespace sluice::web {

// What of the page's wishes is beyond the runs.
struct PageServices {
  // The names of the user's runs, now.
  std::function<std::vector<std::string>()> list_runs;
  // The domain that somebody has registered, of a name; empty: not known.
  std::function<std::string(const std::string& name)> domain_of;
  // What a run has said to an answer that is to hold for ever: to be written down if it agreed. An
  // error is a sentence; empty: all is well.
  std::function<std::string(const std::string& said)> remember;
};

class PageServer {
 public:
  static constexpr unsigned kConnectionsMax = 64;
  static constexpr std::size_t kStreamsMax = 16;
  // Events that wait for a page; beyond them it loses some, and is told how many.
  static constexpr std::size_t kStreamBytesMax = 1024 * 1024;
  static constexpr unsigned kIdleSeconds = 30;
  // So often a stream says that it is there, and hears whether the page is.
  static constexpr Duration kBeat = std::chrono::seconds(5);

  // `listener` listens, at `authority`. The error is a sentence.
  [[nodiscard]] static std::expected<std::unique_ptr<PageServer>, std::string> open(
      sys::EventLoop& loop, UniqueFd listener, Gatekeeper gatekeeper, PageServices services);
  PageServer(const PageServer&) = delete;
  PageServer& operator=(const PageServer&) = delete;
  ~PageServer();

  // Tags of the loop's events from here on are this server's.
  static constexpr std::uint64_t kFirstTag = 16;
  void on_event(std::uint64_t tag, std::uint32_t events, Instant now);
  // After the events of a round, and at the time below.
  void run(Instant now);
  [[nodiscard]] Instant next_wakeup(Instant now) const;

 private:
  class Stream;
  struct Exchange;
  struct Reply {
    unsigned status = 200;
    std::string body{};
    std::string cookie{};
  };
  static constexpr std::uint64_t kHttpTag = kFirstTag;

  PageServer(const Microhttpd& mhd, sys::EventLoop& loop, Gatekeeper gatekeeper,
             PageServices services);
  [[nodiscard]] bool start(UniqueFd listener);

  // A piece of a body, or without one: all of it was read.
  [[nodiscard]] MHD_Result hear(Exchange& exchange, std::string_view piece);
  [[nodiscard]] MHD_Result begin(MHD_Connection* connection, const char* url, const char* method,
                                 void** exchange);
  [[nodiscard]] MHD_Result go_on(Exchange& exchange);
  [[nodiscard]] RequestHead head_of(MHD_Connection* connection, const char* url,
                                    const char* method) const;
  [[nodiscard]] std::string_view header(MHD_Connection* connection, const char* name) const;

  void open_session(Exchange& exchange);
  void list_runs(Exchange& exchange);
  void ask_run(Exchange& exchange);
  void tell_domains(Exchange& exchange) const;
  [[nodiscard]] MHD_Result open_stream(Exchange& exchange);
  // The exchange of that number has its reply; it may be gone.
  void finish(std::uint64_t number, Reply reply);

  [[nodiscard]] MHD_Result send(MHD_Connection* connection, const Reply& reply) const;
  [[nodiscard]] MHD_Result send_asset(MHD_Connection* connection, std::string_view path) const;
  [[nodiscard]] MHD_Result queue(MHD_Connection* connection, unsigned status,
                                 MHD_Response* response, std::string_view type) const;

  Microhttpd mhd_;
  sys::EventLoop& loop_;
  Gatekeeper gatekeeper_;
  PageServices services_;
  MHD_Daemon* daemon_ = nullptr;
  Instant now_{};
  RunBook runs_;
  std::uint64_t next_number_ = 1;
  std::map<std::uint64_t, Exchange*> exchanges_;  // By number; the library's connections own them.
  std::map<std::uint64_t, std::unique_ptr<Stream>> streams_;
  std::vector<std::uint64_t> ended_;  // Streams that nobody reads any more.
  Instant beat_at_{};
};

}  // namespace sluice::web
