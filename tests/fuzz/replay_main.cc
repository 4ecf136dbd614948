// main() of a fuzz target that is built without libFuzzer: runs every file named on the command
// line, and every file below a directory named there, through the target once, and the empty input
// always. Exit status 1 when a named path cannot be read.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

namespace fs = std::filesystem;

bool replay_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    return false;
  }
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  // A heap block of exactly this size, so that the address sanitizer sees a read past its end.
  const std::vector<std::uint8_t> input(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(input.data(), input.size());
  return true;
}

// Returns the number of inputs replayed, or -1.
long replay_path(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return replay_file(path) ? 1 : -1;
  long count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (!entry.is_regular_file()) continue;
    if (!replay_file(entry.path())) return -1;
    ++count;
  }
  return count;
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint8_t nothing = 0;
  LLVMFuzzerTestOneInput(&nothing, 0);
  long replayed = 1;
  bool all_read = true;
  for (int i = 1; i < argc; ++i) {
    const long count = replay_path(argv[i]);
    if (count < 0) {
      all_read = false;
    } else {
      replayed += count;
    }
  }
  std::printf("replayed %ld inputs\n", replayed);
  return all_read ? 0 : 1;
}
