// homolog-catalog: folders of scans -> catalogue. One line per CT, one per refused input, and a
// summary.

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/options.h"
#include "base/run_main.h"
#include "base/stop_signal.h"
#include "sharding/import/key_file.h"
#include "sharding/import/survey.h"

namespace {

namespace fs = std::filesystem;
using namespace homolog;
using import::Verdict;

struct CatalogPlan {
  std::vector<std::string> paths;
  fs::path out, key_file;
  int jobs = static_cast<int>(std::max(1U, std::min(8U, std::thread::hardware_concurrency())));
  bool json = false;
};

void declare(Options& options, CatalogPlan& plan) {
  options.positional("PATHS", plan.paths, "folders (walked whole) and files with CT scans");
  options.add("out", plan.out, "catalogue to write (JSON lines)", {.required = true});
  options.add(
      "key-file", plan.key_file,
      "secret key of the pseudonyms; made when missing (default: catalog.key beside --out)");
  options.add("jobs", plan.jobs, "scans read at a time; each needs about ten bytes a voxel",
              {.min = 1, .max = 256});
  options.add("json", plan.json, "print the summary as JSON");
}

void print_verdicts(const import::Survey& survey) {
  for (const import::CatalogEntry& e : survey.entries) {
    std::string name = e.files.empty() ? "?" : e.files.front().string();
    if (e.files.size() > 1) name += " (" + std::to_string(e.files.size()) + " files)";
    std::string reasons;
    for (const std::string& reason : e.reasons) reasons += (reasons.empty() ? "" : "; ") + reason;
    std::printf("%-6s %s%s%s\n", import::verdict_name(e.verdict), import::printable(name).c_str(),
                reasons.empty() ? "" : ": ", import::printable(reasons).c_str());
  }
}

std::string counted(std::int64_t count, const std::string& one) {
  return std::to_string(count) + " " + one + (count == 1 ? "" : "s");
}

void print_text(const CatalogPlan& plan, const import::Survey& survey) {
  std::printf(
      "\n%lld accepted, %lld with warnings, %lld refused; %lld of %s ignored (no scans)\n%s\n",
      static_cast<long long>(survey.count(Verdict::Accept)),
      static_cast<long long>(survey.count(Verdict::Warn)),
      static_cast<long long>(survey.count(Verdict::Reject)), static_cast<long long>(survey.ignored),
      counted(survey.looked_at, "file").c_str(), plan.out.c_str());
}

void print_json(const CatalogPlan& plan, const import::Survey& survey, double seconds) {
  const nlohmann::ordered_json summary = {{"catalog", plan.out.string()},
                                          {"accepted", survey.count(Verdict::Accept)},
                                          {"warned", survey.count(Verdict::Warn)},
                                          {"rejected", survey.count(Verdict::Reject)},
                                          {"files_looked_at", survey.looked_at},
                                          {"files_ignored", survey.ignored},
                                          {"commonest_refusals", survey.commonest_refusals(5)},
                                          {"seconds", seconds}};
  std::printf("%s\n",
              summary.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

void refuse_if_no_ct(const import::Survey& survey, const std::vector<std::string>& paths) {
  if (survey.count(Verdict::Accept) + survey.count(Verdict::Warn) > 0) return;
  std::string where;
  for (const std::string& path : paths) where += " " + path;
  std::string what = "no CT found in" + where + ": looked at " + counted(survey.looked_at, "file") +
                     ", " + std::to_string(survey.ignored) + " ignored (no scans), " +
                     counted(survey.count(Verdict::Reject), "input") + " refused";
  for (const std::string& line : survey.commonest_refusals(5))
    what += "\n  " + import::printable(line);
  throw Error(Fault::Data, what, "give folders that hold CT as DICOM, NIfTI, NRRD or MetaImage");
}

int body(int argc, char** argv) {
  CatalogPlan plan;
  Options options("homolog catalog", "PATHS... --out catalog.jsonl",
                  "Find each CT in folders and files, say of the rest why not.");
  declare(options, plan);
  if (!options.parse(argc, argv)) return 0;
  if (plan.paths.empty())
    throw Error(Fault::Usage, "no folder or file given",
                "homolog catalog PATHS... --out catalog.jsonl");
  const Stopwatch watch;
  const std::vector<fs::path> paths(plan.paths.begin(), plan.paths.end());
  for (const fs::path& path : paths) {
    if (!fs::exists(path))
      throw Error(Fault::Data, path.string() + " does not exist",
                  "give folders or files with CT scans");
  }
  require_writable("--out", plan.out, "catalog.jsonl");
  listen_for_stop_signals();
  if (plan.key_file.empty()) plan.key_file = plan.out.parent_path() / "catalog.key";
  const std::string key = import::read_or_make_key(plan.key_file);
  const import::Survey survey = import::survey(paths, key, plan.jobs);
  if (!plan.json) print_verdicts(survey);
  refuse_if_no_ct(survey, plan.paths);
  std::string lines;
  for (const import::CatalogEntry& entry : survey.entries)
    lines += import::to_json_line(entry) + "\n";
  write_file_atomically(plan.out, lines);
  plan.json ? print_json(plan, survey, watch.seconds()) : print_text(plan, survey);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return run_main(argc, argv, "homolog-catalog", [&] { return body(argc, argv); });
}
