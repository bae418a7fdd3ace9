#include "train/run_folder.h"

#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/step_folders.h"
#include "build_info.h"
#include "train/on_first.h"

namespace homolog::train {
namespace fs = std::filesystem;
using nlohmann::json;

fs::path RunFolder::log(int rank) const {
  return folder_ / ("log-" + std::to_string(rank) + ".jsonl");
}

std::unique_ptr<RunLock> RunFolder::hold(comm::Communicator& communicator) const {
  constexpr double kPatience = 3;  // s: a launcher's restart may meet the end of the run before it
  std::unique_ptr<RunLock> lock;
  on_first(communicator, [&] {
    lock = std::make_unique<RunLock>(folder_, RunLock::kTrainer, kPatience);
    return std::string();
  });
  return lock;
}

int RunFolder::code_of_leaving() const {
  for (const StepFolder& folder : step_folders(checkpoints())) {
    if (folder.complete) return exit_code(Fault::Stopped);
  }
  return exit_code(Fault::NoProgress);
}

void RunFolder::write(const RunManifest& m) const {
  std::error_code code;
  fs::create_directories(checkpoints(), code);
  if (code) {
    throw Error(Fault::Environment,
                "cannot make the run folder " + folder_.string() + ": " + code.message(),
                "give --run a folder that can be written");
  }
  write_file_atomically(folder_ / "config.ini", m.config);
  json j = {{"kind", "homolog run"},
            {"format", 1},
            {"program", m.program},
            {"version", HOMOLOG_VERSION},
            {"commit", HOMOLOG_COMMIT},
            {"build", HOMOLOG_BUILD_TYPE},
            {"compiler", HOMOLOG_COMPILER},
            {"started", m.started},
            {"world", m.world},
            {"config_digest", hex64(xxh3_64(m.config))}};
  for (const auto& [key, value] : m.identity) j[key == "store" ? "store_hash" : key] = value;
  j["resumed_from_step"] = m.resumed_from_step >= 0 ? json(m.resumed_from_step) : json(nullptr);
  write_file_atomically(folder_ / "manifest.json", j.dump(1) + "\n");
}

void RunFolder::clear() const {
  std::error_code ignored;
  fs::remove_all(checkpoints(), ignored);
  fs::remove(folder_ / "metrics.jsonl", ignored);
}

void RunFolder::trim_metrics(std::int64_t step) const {
  std::ifstream in(folder_ / "metrics.jsonl");
  if (!in) return;
  std::string kept;
  for (std::string line; std::getline(in, line);) {
    const json j = json::parse(line, nullptr, false);
    if (j.is_object() && j.contains("step") && j["step"].is_number() &&
        j["step"].get<std::int64_t>() < step)
      kept += line + "\n";
  }
  write_file_atomically(folder_ / "metrics.jsonl", kept);
}

MetricsFile::MetricsFile(const RunFolder& folder)
    : out_(folder.path() / "metrics.jsonl", std::ios::app) {}

void MetricsFile::append(const std::string& line) {
  out_ << line << '\n' << std::flush;
  if (out_) return;
  out_.clear();
  if (!told_) log::warn("metrics.jsonl cannot be written; training goes on");
  told_ = true;
}

}  // namespace homolog::train
