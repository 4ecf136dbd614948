#include "web/page_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "telemetry/json_line.h"
#include "web/assets.h"
#include "web/page_headers.h"
#include "web/page_stream.h"

namespace sluice::web {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kJson = "application/json";
// More runs than this are not told of.
constexpr std::size_t kRunsShown = 64;
constexpr std::size_t kStreamBlock = 16 * 1024;

constexpr unsigned kBadRequest = 400;
constexpr unsigned kForbidden = 403;
constexpr unsigned kNotFound = 404;
constexpr unsigned kTooLarge = 413;
constexpr unsigned kBadGateway = 502;
constexpr unsigned kUnavailable = 503;

[[nodiscard]] std::string error_body(std::string_view message) {
  fmt::memory_buffer out;
  telemetry::JsonLine line(out);
  line.text("error", message);
  line.end_line();
  return fmt::to_string(out);
}

// Whatever it says is kept from the terminal: it repeats what clients send.
void ignore_log(void* /*self*/, const char* /*format*/, va_list /*arguments*/) {}

}  // namespace

// One request, from its head to its answer.
struct PageServer::Exchange {
  PageServer& server;
  MHD_Connection* connection;
  std::uint64_t number;
  Route route;
  std::string run{};  // Of kEvents.
  std::string body{};
  bool too_long = false;
  bool asked = false;      // All of it was read.
  bool suspended = false;  // The connection waits for the reply.
  std::optional<Reply> reply{};
  // Of kRuns: what the runs have said, and how many have not yet.
  std::string gathered{};
  std::size_t waiting = 0;
};

// The events of one run for one page.
class PageServer::Stream final : public EventListener {
 public:
  Stream(PageServer& server, std::uint64_t number, std::string run, MHD_Connection* connection)
      : server_(server), number_(number), run_(std::move(run)), connection_(connection) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { server_.runs_.leave(run_, *this); }

  void on_begin() override {
    events_.begin();
    wake();
  }
  void on_line(std::string_view line) override {
    events_.add(line);
    wake();
  }
  void on_end() override {
    events_.end();
    wake();
  }
  void beat() {
    events_.beat();
    wake();
  }

  // For the library: what goes out next.
  static ssize_t read(void* stream, std::uint64_t /*at*/, char* into, std::size_t size) {
    auto& self = *static_cast<Stream*>(stream);
    if (self.events_.is_done()) return MHD_CONTENT_READER_END_OF_STREAM;
    const std::size_t taken = self.events_.take({into, size});
    if (taken == 0) {
      self.server_.mhd_.suspend_connection(self.connection_);
      self.suspended_ = true;
    }
    return static_cast<ssize_t>(taken);
  }
  static void free(void* stream) {
    auto& self = *static_cast<Stream*>(stream);
    self.server_.ended_.push_back(self.number_);
  }

 private:
  void wake() {
    if (std::exchange(suspended_, false)) server_.mhd_.resume_connection(connection_);
  }

  PageServer& server_;
  std::uint64_t number_;
  std::string run_;
  MHD_Connection* connection_;
  PageStream events_{kStreamBytesMax};
  bool suspended_ = false;
};

PageServer::PageServer(const Microhttpd& mhd, sys::EventLoop& loop, Gatekeeper gatekeeper,
                       PageServices services)
    : mhd_(mhd),
      loop_(loop),
      gatekeeper_(std::move(gatekeeper)),
      services_(std::move(services)),
      runs_(loop, kHttpTag + 1) {}

std::expected<std::unique_ptr<PageServer>, std::string> PageServer::open(sys::EventLoop& loop,
                                                                         UniqueFd listener,
                                                                         Gatekeeper gatekeeper,
                                                                         PageServices services) {
  const auto mhd = Microhttpd::load();
  if (!mhd) {
    return std::unexpected("libmicrohttpd.so.12 is missing: apt-get install libmicrohttpd12");
  }
  std::unique_ptr<PageServer> server(
      new PageServer(*mhd, loop, std::move(gatekeeper), std::move(services)));
  if (!server->start(std::move(listener))) return std::unexpected("libmicrohttpd does not start");
  return server;
}

bool PageServer::start(UniqueFd listener) {
  constexpr unsigned kFlags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
  constexpr std::size_t kMemory = 32 * 1024;  // Of a connection: its request's head.
  const MHD_AccessHandlerCallback on_access =
      [](void* self, MHD_Connection* connection, const char* url, const char* method,
         const char* /*version*/, const char* data, std::size_t* size, void** exchange) {
        auto& server = *static_cast<PageServer*>(self);
        if (*exchange == nullptr) return server.begin(connection, url, method, exchange);
        return server.hear(*static_cast<Exchange*>(*exchange), {data, std::exchange(*size, 0)});
      };
  const MHD_RequestCompletedCallback on_completed = [](void* /*self*/, MHD_Connection*,
                                                       void** exchange,
                                                       MHD_RequestTerminationCode /*how*/) {
    const std::unique_ptr<Exchange> over(static_cast<Exchange*>(std::exchange(*exchange, nullptr)));
    if (over != nullptr) over->server.exchanges_.erase(over->number);
  };
  daemon_ = mhd_.start_daemon(
      kFlags, 0, nullptr, nullptr, on_access, this, MHD_OPTION_EXTERNAL_LOGGER, &ignore_log,
      nullptr, MHD_OPTION_LISTEN_SOCKET, listener.get(), MHD_OPTION_CONNECTION_LIMIT,
      kConnectionsMax, MHD_OPTION_CONNECTION_TIMEOUT, kIdleSeconds,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, kMemory, MHD_OPTION_STRICT_FOR_CLIENT, 1,
      MHD_OPTION_NOTIFY_COMPLETED, on_completed, this, MHD_OPTION_END);
  if (daemon_ == nullptr) return false;
  (void)listener.release();  // The daemon's from here on.
  const auto* const info = mhd_.get_daemon_info(daemon_, MHD_DAEMON_INFO_EPOLL_FD);
  return info != nullptr && loop_.add(info->epoll_fd, EPOLLIN, kHttpTag).has_value();
}

PageServer::~PageServer() {
  // A connection that is suspended may not be there when the daemon stops.
  for (const auto& [number, stream] : streams_) stream->on_end();
  for (const auto& [number, exchange] : exchanges_) {
    if (std::exchange(exchange->suspended, false)) mhd_.resume_connection(exchange->connection);
  }
  if (daemon_ != nullptr) mhd_.stop_daemon(daemon_);
}

void PageServer::on_event(std::uint64_t tag, std::uint32_t events, Instant now) {
  now_ = now;
  if (tag != kHttpTag) runs_.on_event(tag, events, now);
}

void PageServer::run(Instant now) {
  now_ = now;
  runs_.on_time(now);
  if (now >= beat_at_) {
    for (const auto& [number, stream] : streams_) stream->beat();
    beat_at_ = streams_.empty() ? kNever : now + kBeat;
  }
  (void)mhd_.run(daemon_);
  for (const std::uint64_t number : std::exchange(ended_, {})) streams_.erase(number);
}

Instant PageServer::next_wakeup(Instant now) const {
  MHD_UNSIGNED_LONG_LONG millis = 0;
  Instant http = kNever;
  if (mhd_.get_timeout(daemon_, &millis) == MHD_YES) http = now + std::chrono::milliseconds(millis);
  return std::min({http, runs_.next_wakeup(), beat_at_});
}

MHD_Result PageServer::hear(Exchange& exchange, std::string_view piece) {
  if (piece.empty()) return go_on(exchange);
  exchange.too_long = exchange.too_long || exchange.body.size() + piece.size() > kBodyMax;
  if (!exchange.too_long) exchange.body += piece;
  return MHD_YES;
}

std::string_view PageServer::header(MHD_Connection* connection, const char* name) const {
  const char* const value = mhd_.lookup_connection_value(connection, MHD_HEADER_KIND, name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

RequestHead PageServer::head_of(MHD_Connection* connection, const char* url,
                                const char* method) const {
  return {.method = method,
          .path = url,
          .host = header(connection, "Host"),
          .origin = header(connection, "Origin"),
          .fetch_site = header(connection, "Sec-Fetch-Site"),
          .content_type = header(connection, "Content-Type"),
          .cookie = header(connection, "Cookie"),
          .key = header(connection, Gatekeeper::kKeyHeader)};
}

// Whoever may not ask is told before a byte of the body is read.
MHD_Result PageServer::begin(MHD_Connection* connection, const char* url, const char* method,
                             void** exchange) {
  const RequestHead head = head_of(connection, url, method);
  const Access access = gatekeeper_.judge(head);
  if (access != Access::kGranted) {
    return send(connection, {static_cast<unsigned>(access), error_body(words_of(access))});
  }
  const Route route = route_of(head.path);
  if (route == Route::kAsset) return send_asset(connection, head.path);
  auto fresh = std::make_unique<Exchange>(*this, connection, next_number_++, route);
  if (const char* const run =
          mhd_.lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "run")) {
    fresh->run = run;
  }
  exchanges_.emplace(fresh->number, fresh.get());
  *exchange = fresh.release();
  return MHD_YES;
}

MHD_Result PageServer::go_on(Exchange& exchange) {
  if (!std::exchange(exchange.asked, true)) {
    if (exchange.too_long) {
      exchange.reply = Reply{kTooLarge, error_body("a request has 65536 bytes at most")};
    } else {
      switch (exchange.route) {
        case Route::kSession: open_session(exchange); break;
        case Route::kRuns: list_runs(exchange); break;
        case Route::kAsk: ask_run(exchange); break;
        case Route::kDomains: tell_domains(exchange); break;
        case Route::kEvents: return open_stream(exchange);
        case Route::kAsset:
        case Route::kNone: return MHD_NO;
      }
    }
  }
  if (exchange.reply) return send(exchange.connection, *exchange.reply);
  mhd_.suspend_connection(exchange.connection);
  exchange.suspended = true;
  return MHD_YES;
}

void PageServer::finish(std::uint64_t number, Reply reply) {
  const auto found = exchanges_.find(number);
  if (found == exchanges_.end()) return;
  Exchange& exchange = *found->second;
  exchange.reply = std::move(reply);
  if (std::exchange(exchange.suspended, false)) mhd_.resume_connection(exchange.connection);
}

void PageServer::open_session(Exchange& exchange) {
  const Secrets& secrets = gatekeeper_.secrets();
  if (!gatekeeper_.opens(read_token(exchange.body))) {
    exchange.reply = Reply{kForbidden, error_body(words_of(Access::kForbidden))};
    return;
  }
  exchange.reply = Reply{.body = fmt::format("{{\"key\":\"{}\"}}\n", secrets.key),
                         .cookie = fmt::format("{}={}; HttpOnly; SameSite=Strict; Path=/",
                                               Gatekeeper::kCookie, secrets.session)};
}

void PageServer::list_runs(Exchange& exchange) {
  std::vector<std::string> names = services_.list_runs();
  if (names.size() > kRunsShown) names.resize(kRunsShown);
  const std::uint64_t number = exchange.number;
  exchange.waiting = names.size() + 1;
  const auto one_less = [this, number](std::string_view text) {
    const auto found = exchanges_.find(number);
    if (found == exchanges_.end()) return;
    Exchange& own = *found->second;
    if (!text.empty() && !own.gathered.empty()) own.gathered += ',';
    own.gathered += text;
    if (--own.waiting == 0) finish(number, {.body = "{\"runs\":[" + own.gathered + "]}\n"});
  };
  for (const std::string& name : names) {
    // One that has ended meanwhile, or is not ours, is left out.
    runs_.ask(name, "{\"do\":\"status\"}\n", now_, [one_less](const RunAnswer& answer) {
      one_less(answer.reached ? std::string_view(answer.text) : std::string_view());
    });
  }
  one_less("");
}

void PageServer::ask_run(Exchange& exchange) {
  auto request = read_run_request(exchange.body);
  if (!request) {
    exchange.reply = Reply{kBadRequest, error_body(request.error())};
    return;
  }
  const std::uint64_t number = exchange.number;
  runs_.ask(request->run, request->line, now_,
            [this, number, always = request->always](RunAnswer answer) {
              if (!answer.reached) {
                finish(number, {kBadGateway, error_body(answer.text)});
                return;
              }
              if (always && services_.remember) {
                const std::string problem = services_.remember(answer.text);
                if (!problem.empty()) {
                  finish(number, {kBadGateway, error_body(problem)});
                  return;
                }
              }
              finish(number, {.body = std::move(answer.text)});
            });
}

void PageServer::tell_domains(Exchange& exchange) const {
  const auto names = read_names(exchange.body);
  if (!names) {
    exchange.reply = Reply{kBadRequest, error_body(names.error())};
    return;
  }
  Json domains = Json::object();
  for (const std::string& name : *names) domains[name] = services_.domain_of(name);
  exchange.reply =
      Reply{.body = domains.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n"};
}

MHD_Result PageServer::open_stream(Exchange& exchange) {
  MHD_Connection* const connection = exchange.connection;
  if (!is_run_name(exchange.run)) {
    return send(connection, {kBadRequest, error_body("'run' is not the name of a run")});
  }
  if (streams_.size() >= kStreamsMax) {
    return send(connection, {kUnavailable, error_body("too many pages are open")});
  }
  auto stream = std::make_unique<Stream>(*this, exchange.number, exchange.run, connection);
  if (!runs_.listen(exchange.run, *stream)) {
    return send(connection, {kNotFound, error_body("there is no such run")});
  }
  MHD_Response* const response = mhd_.create_response_from_callback(
      MHD_SIZE_UNKNOWN, kStreamBlock, &Stream::read, stream.get(), &Stream::free);
  if (response == nullptr) return MHD_NO;
  streams_.emplace(exchange.number, std::move(stream));
  beat_at_ = std::min(beat_at_, now_ + kBeat);
  return queue(connection, MHD_HTTP_OK, response, "text/event-stream");
}

MHD_Result PageServer::send(MHD_Connection* connection, const Reply& reply) const {
  MHD_Response* const response = mhd_.create_response_from_buffer(
      reply.body.size(), const_cast<char*>(reply.body.data()), MHD_RESPMEM_MUST_COPY);
  if (response == nullptr) return MHD_NO;
  if (!reply.cookie.empty()) {
    (void)mhd_.add_response_header(response, "Set-Cookie", reply.cookie.c_str());
  }
  return queue(connection, reply.status, response, kJson);
}

MHD_Result PageServer::send_asset(MHD_Connection* connection, std::string_view path) const {
  const Asset* const asset = find_asset(path);
  if (asset == nullptr) {
    return send(connection, {kNotFound, error_body(words_of(Access::kNotFound))});
  }
  MHD_Response* const response = mhd_.create_response_from_buffer(
      asset->content.size(), const_cast<char*>(asset->content.data()), MHD_RESPMEM_PERSISTENT);
  return response == nullptr ? MHD_NO : queue(connection, MHD_HTTP_OK, response, asset->type);
}

MHD_Result PageServer::queue(MHD_Connection* connection, unsigned status, MHD_Response* response,
                             std::string_view type) const {
  for (const auto& [name, value] : kPageHeaders) {
    (void)mhd_.add_response_header(response, name, value);
  }
  (void)mhd_.add_response_header(response, "Content-Type", std::string(type).c_str());
  const MHD_Result queued = mhd_.queue_response(connection, status, response);
  mhd_.destroy_response(response);
  return queued;
}

}  // namespace sluice::web
