// The file of --learn, written when the guest has ended. We may not open a file by then, and the
// guest could change one that lies there while it runs: so a process that was forked before takes
// what was learnt, and puts a whole file in the place of the old one. Not thread-safe.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "sandbox/helper_process.h"
#include "telemetry/usage/usage.h"

namespace sluice::serve {

struct LearnPlan {
  std::string file{};  // Empty: nothing is learnt.
  // What is written of it; in the other process.
  std::function<std::string(const telemetry::Usage&)> text{};
};

class LearnedFile {
 public:
  // Where the folder cannot be written into, it is said now. The error is a sentence.
  [[nodiscard]] static std::expected<LearnedFile, std::string> begin(const LearnPlan& plan);

  [[nodiscard]] telemetry::Usage& usage() { return *usage_; }
  // Writes it. The error is a sentence.
  [[nodiscard]] std::expected<void, std::string> finish();

 private:
  LearnedFile(std::string file, sandbox::HelperProcess writer)
      : file_(std::move(file)),
        writer_(std::move(writer)),
        usage_(std::make_unique<telemetry::Usage>()) {}

  std::string file_;
  sandbox::HelperProcess writer_;
  std::unique_ptr<telemetry::Usage> usage_;  // Stays where it is.
};

}  // namespace sluice::serve
