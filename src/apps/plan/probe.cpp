#include "apps/plan/probe.h"

#include <fcntl.h>
#include <torch/cuda.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "base/stop_signal.h"
#include "launcher/process.h"

namespace homolog {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kWarmUp = 3;

// Gone, with all that is in it, when this is.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "homolog-plan-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw Error(Fault::Environment, "cannot make a folder " + name + ": " + std::strerror(errno),
                  "set TMPDIR to a folder with room for a checkpoint");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const noexcept { return path_; }

 private:
  fs::path path_;
};

class OutputFile {
 public:
  explicit OutputFile(const fs::path& file)
      : fd_(::open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)) {
    if (fd_ < 0) throw Error(Fault::Environment, "cannot write " + file.string());
  }
  ~OutputFile() { ::close(fd_); }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  int descriptor() const noexcept { return fd_; }

 private:
  int fd_;
};

std::string end_of(const fs::path& file) {
  std::ifstream in(file);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  constexpr std::size_t kShown = 600;
  return text.size() > kShown ? text.substr(text.size() - kShown) : text;
}

Fault fault_of(int code) {
  for (const Fault fault : {Fault::Usage, Fault::Data, Fault::Diverged})
    if (code == exit_code(fault)) return fault;
  return Fault::Environment;
}

double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
}

int run_worker(const ProbePlan& plan, const fs::path& folder) {
  launcher::ChildPlan child;
  child.words = {(fs::read_symlink("/proc/self/exe").parent_path() / "homolog-train").string()};
  child.words.insert(child.words.end(), plan.words.begin(), plan.words.end());
  for (const std::string& word :
       {std::string("--run"), (folder / "run").string(), std::string("--resume"),
        std::string("none"), std::string("--device"), plan.device,
        std::string("--max-steps-this-run"), std::to_string(plan.steps + kWarmUp),
        std::string("--set"), std::string("schedule.validate_every=0"), std::string("--set"),
        std::string("cluster.backend=solo")})
    child.words.push_back(word);
  if (std::getenv("OMP_NUM_THREADS") == nullptr) {  // as a launch would
    const std::int64_t cores = std::thread::hardware_concurrency();
    child.environment["OMP_NUM_THREADS"] =
        std::to_string(std::max<std::int64_t>(1, cores / plan.sharers));
  }
  const OutputFile output(folder / "worker.log");
  child.out = child.err = output.descriptor();
  launcher::Child worker(child);
  for (;;) {
    if (const auto status = worker.wait_for(0.2)) return launcher::shell_code(*status);
    stop_if_asked("the probe ended early", "run the same command again");
  }
}

}  // namespace

plan::Probe read_probe(const fs::path& metrics, std::int64_t warm_up) {
  std::ifstream in(metrics);
  std::vector<double> own, waits;
  for (std::string line; std::getline(in, line);) {
    const auto entry = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!entry.is_object() || !entry.contains("parts") || warm_up-- > 0) continue;
    const auto part = [&](const char* name) { return entry["parts"].value(name, 0.0); };
    own.push_back(entry.value("seconds", 0.0) - part("all_reduce_exposed") -
                  part("checkpoint_block"));
    waits.push_back(part("data_wait"));
  }
  if (own.empty())
    throw Error(Fault::Data, metrics.string() + " holds no step after the first few",
                "a probe needs a schedule of more steps");
  return {.step = quantile(own, 0.5),
          .spread = (quantile(own, 0.75) - quantile(own, 0.25)) / 2,
          .data_wait = quantile(waits, 0.5),
          .steps = static_cast<std::int64_t>(own.size()),
          .where = {}};
}

plan::Probe probe(const ProbePlan& plan) {
  listen_for_stop_signals();
  const TemporaryFolder folder;
  const int code = run_worker(plan, folder.path());
  if (code != 0 && code != exit_code(Fault::Stopped)) {
    throw Error(fault_of(code),
                "the probe's worker ended with code " + std::to_string(code) + ":\n" +
                    end_of(folder.path() / "worker.log"),
                "see what it says; without --probe times come from the model");
  }
  plan::Probe out = read_probe(folder.path() / "run" / "metrics.jsonl", kWarmUp);
  out.where = plan.device != "auto" ? plan.device : torch::cuda::is_available() ? "cuda" : "cpu";
  return out;
}

}  // namespace homolog
