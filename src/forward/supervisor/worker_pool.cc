#include "forward/supervisor/worker_pool.h"

#include <fmt/core.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "sandbox/forward_sandbox.h"
#include "sys/process_limits.h"
#include "telemetry/log.h"

namespace sluice::forward {

// Sources of datagrams can be forged by the million; connections cost those who make them as much
// as us. So the sessions of all UDP clients never take more than half of the descriptors.
UdpBounds udp_bounds(std::uint64_t descriptors, std::uint32_t workers) {
  UdpBounds bounds;
  if (descriptors == 0) return bounds;
  const std::uint64_t share = std::max<std::uint64_t>(descriptors / 2 / workers, 1);
  bounds.sessions = static_cast<std::size_t>(std::min<std::uint64_t>(bounds.sessions, share));
  return bounds;
}

std::expected<std::unique_ptr<WorkerPool>, sys::SysError> WorkerPool::create(
    sys::Kernel& kernel, std::uint32_t count, const relay::Options& relay) {
  UniqueFd event(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!event.valid()) return std::unexpected(sys::last_error(sys::SysOp::kOpen));
  std::unique_ptr<WorkerPool> pool(new WorkerPool(std::move(event)));
  const UdpBounds udp = udp_bounds(sys::fd_soft_limit(), count);
  for (std::uint32_t i = 0; i < count; ++i) {
    auto worker = Worker::create(kernel, {.relay = relay,
                                          .pipes_max = relay::Pools::kPipesMax / count,
                                          .udp = udp,
                                          .number = static_cast<std::uint16_t>(i),
                                          .supervisor_event_fd = pool->fd()});
    if (!worker) return std::unexpected(worker.error());
    pool->peers_.push_back(worker->get());
    pool->workers_.push_back(std::move(*worker));
  }
  for (Worker* const worker : pool->peers_) worker->set_peers(pool->peers_);
  return pool;
}

WorkerPool::~WorkerPool() {
  if (!all_ended()) stop();
  for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::start() {
  // Its file is read here: the workers open none.
  ::tzset();
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    threads_.emplace_back([worker = workers_[i].get()] {
      // Where there is no seccomp the user's rights are what bounds it.
      if (const auto confined = sandbox::confine_worker(sandbox::seccomp_mode_from_environment());
          !confined) {
        telemetry::log_warn("a worker is not confined: {}", confined.error().describe());
      }
      worker->run();
    });
    const std::string name = fmt::format("sluice-w{}", i);
    ::pthread_setname_np(threads_.back().native_handle(), name.c_str());
  }
}

void WorkerPool::on_readable() {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(event_.get(), &count, sizeof count);
}

void WorkerPool::apply(std::vector<std::vector<WorkerListener>> listeners,
                       const std::shared_ptr<LogFile>& log) {
  ++requests_;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    workers_[i]->apply(std::move(listeners[i]), log);
  }
}

void WorkerPool::drain() {
  ++requests_;
  for (const auto& worker : workers_) worker->drain();
}

void WorkerPool::stop() {
  ++requests_;
  for (const auto& worker : workers_) worker->stop();
}

void WorkerPool::publish_counters() {
  ++requests_;
  for (const auto& worker : workers_) worker->publish_counters();
}

bool WorkerPool::all_answered() const {
  return std::ranges::all_of(workers_, [this](const auto& worker) {
    return worker->has_ended() || worker->answered() >= requests_;
  });
}

bool WorkerPool::all_ended() const {
  return std::ranges::all_of(workers_, [](const auto& worker) { return worker->has_ended(); });
}

std::uint32_t WorkerPool::sessions() const {
  std::uint32_t total = 0;
  for (const auto& worker : workers_) total += worker->sessions();
  return total;
}

}  // namespace sluice::forward
