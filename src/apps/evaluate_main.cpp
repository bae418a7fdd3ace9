// homolog-evaluate: how good are weights? `landmarks`: points found by SAM against the phantoms'
// truth.
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/options.h"
#include "base/progress.h"
#include "base/run_main.h"
#include "sharding/import/load.h"
#include "sharding/landmarks.h"

namespace {

using namespace homolog;
namespace fs = std::filesystem;

nlohmann::json to_json(const landmarks::Score& s) {
  return {{"points", s.points},
          {"median_mm", s.median},
          {"p90_mm", s.p90},
          {"below_10mm", s.below_10},
          {"above_30mm", s.above_30}};
}

nlohmann::json to_json(const landmarks::Comparison& c) {
  return {
      {"sam", to_json(c.sam)}, {"box", to_json(c.box)}, {"median_similarity", c.median_similarity}};
}

std::string stem(const fs::path& file) {  // phantom-0000.nii.gz -> phantom-0000
  const std::string name = file.filename().string();
  return name.substr(0, name.find('.'));
}

// The last `last` bodies of the catalogue that the truth knows; 0: all of them.
std::vector<landmarks::Body> bodies(const fs::path& catalog, const landmarks::Truth& truth,
                                    std::int64_t last) {
  std::vector<std::pair<std::string, import::CatalogEntry>> known;
  for (const auto& entry : import::read_catalog(catalog)) {
    const std::string name = stem(entry.files.at(0));
    if (truth.bodies.contains(name)) known.emplace_back(name, entry);
  }
  if (known.size() < 2) {
    throw Error(Fault::Data,
                std::to_string(known.size()) + " volumes of the catalogue have landmarks",
                "give the catalogue of the images that the landmarks belong to");
  }
  if (last > 0 && static_cast<std::size_t>(last) < known.size())
    known.erase(known.begin(), known.end() - last);
  std::vector<landmarks::Body> result;
  for (const auto& [name, entry] : known)
    result.push_back({name, import::load_volume(entry), truth.bodies.at(name)});
  return result;
}

void print(const char* target, const landmarks::Comparison& c) {
  const auto row = [&](const char* method, const landmarks::Score& s) {
    std::printf("%-10s %-12s %8.1f %8.1f %9.0f %% %9.1f %% %8lld\n", target, method, s.median,
                s.p90, 100 * s.below_10, 100 * s.above_30, static_cast<long long>(s.points));
  };
  row("SAM", c.sam);
  row("body boxes", c.box);
}

int run_landmarks(int argc, char** argv) {
  Options options("homolog evaluate landmarks", "--catalog C --sam WEIGHTS --truth landmarks.json",
                  "Distance of matched points from their true homologs, beside mapping body boxes "
                  "onto each other.");
  fs::path catalog, sam, truth_file, out;
  landmarks::Plan plan;
  std::int64_t last = 8;
  std::string mode = "refined";
  bool json = false;
  options.add("catalog", catalog, "catalogue of the bodies", {.required = true});
  options.add("sam", sam, "weights that `homolog sam train` wrote", {.required = true});
  options.add("truth", truth_file, "landmarks.json of `homolog phantom`", {.required = true});
  options.add("last", last, "only the last N bodies, which training with --first left out; 0: all",
              {.min = 0});
  options.add("pairs", plan.pairs, "ordered pairs of bodies", {.min = 1});
  options.add("points", plan.points, "points of each pair", {.min = 1});
  options.add("cut-z-mm", plan.cut_z_mm, "also match into targets cut to this height; 0: do not",
              {.min = 0, .unit = "mm"});
  options.add("seed", plan.seed, "draws pairs, points and cuts");
  options.add("mode", mode, "exact or refined matching", {.choices = {"exact", "refined"}});
  options.add("json", json, "print the result as JSON");
  options.add("out", out, "also write the JSON here");
  if (!options.parse(argc, argv)) return 0;
  plan.mode = mode == "exact" ? match::Mode::Exact : match::Mode::Refined;

  const auto all = bodies(catalog, landmarks::read_truth(truth_file), last);
  match::Embedder embedder(sam);
  Progress progress("landmarks", plan.pairs, "pairs");
  const landmarks::Result r = landmarks::evaluate(all, embedder, plan, [&] { progress.advance(); });
  progress.finish();
  nlohmann::json report = {{"bodies", all.size()},
                           {"pairs", r.pairs},
                           {"mode", mode},
                           {"sam", embedder.sam_hash()},
                           {"whole", to_json(r.whole)}};
  if (plan.cut_z_mm > 0) report["cut"] = to_json(r.cut), report["cut"]["z_mm"] = plan.cut_z_mm;
  if (!out.empty()) write_file_atomically(out, report.dump(2) + "\n");
  if (json) {
    std::cout << report.dump(2) << "\n";
    return 0;
  }
  std::printf("%-10s %-12s %8s %8s %11s %11s %8s\n", "target", "method", "median", "p90", "< 10 mm",
              "> 30 mm", "points");
  print("whole", r.whole);
  if (plan.cut_z_mm > 0) print("cut in z", r.cut);
  return 0;
}

int body(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "--help";
  if (command == "landmarks") return run_landmarks(argc - 1, argv + 1);
  if (command != "--help" && command != "-h") {
    throw Error(Fault::Usage, "homolog evaluate has no command '" + command + "'",
                "use: landmarks");
  }
  std::cout << "usage: homolog evaluate landmarks   (has --help)\n\n  landmarks   distance of "
               "SAM's matches from known homologs\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return homolog::run_main(argc, argv, "homolog-evaluate", [&] { return body(argc, argv); });
}
