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
#include "base/stop_signal.h"
#include "sharding/landmark_bodies.h"

namespace {

using namespace homolog;
namespace fs = std::filesystem;

void print(const char* target, const landmarks::Comparison& c) {
  const auto row = [&](const char* method, const landmarks::Score& s) {
    std::printf("%-10s %-12s %8.1f %8.1f %9.0f %% %9.1f %% %8lld\n", target, method, s.median,
                s.p90, 100 * s.below_10, 100 * s.above_30, static_cast<long long>(s.points));
  };
  row("SAM", c.sam);
  row("body boxes", c.box);
}

struct Arguments {
  fs::path catalog, sam, truth, out;
  landmarks::Plan plan;
  std::int64_t last = 8;
  std::string mode = "refined";
  bool json = false;
};

void declare(Options& options, Arguments& a) {
  options.add("catalog", a.catalog, "catalogue of the bodies", {.required = true});
  options.add("sam", a.sam, "weights that `homolog sam train` wrote", {.required = true});
  options.add("truth", a.truth, "landmarks.json of `homolog phantom`", {.required = true});
  options.add("last", a.last,
              "only the last N bodies, which training with --first left out; 0: all", {.min = 0});
  options.add("pairs", a.plan.pairs, "ordered pairs of bodies", {.min = 1});
  options.add("points", a.plan.points, "points of each pair", {.min = 1});
  options.add("cut-z-mm", a.plan.cut_z_mm, "also match into targets cut to this height; 0: do not",
              {.min = 0, .unit = "mm"});
  options.add("seed", a.plan.seed, "draws pairs, points and cuts");
  options.add("mode", a.mode, match::kModeHelp, {.choices = {"exact", "refined", "image"}});
  options.add("json", a.json, "print the result as JSON");
  options.add("out", a.out, "also write the JSON here");
}

int run_landmarks(int argc, char** argv) {
  Options options("homolog evaluate landmarks", "--catalog C --sam WEIGHTS --truth landmarks.json",
                  "Distance of matched points from their true homologs, beside mapping body boxes "
                  "onto each other.");
  Arguments a;
  declare(options, a);
  if (!options.parse(argc, argv)) return 0;
  a.plan.mode = match::mode_named(a.mode);
  listen_for_stop_signals();
  const auto all = landmarks::read_bodies(a.catalog, landmarks::read_truth(a.truth), a.last);
  match::Embedder embedder(a.sam);
  Progress progress("landmarks", a.plan.pairs, "pairs");
  const landmarks::Result r = landmarks::evaluate(all, embedder, a.plan, [&] {
    progress.advance();
    stop_if_asked("no result", "run the same command again");
  });
  progress.finish();
  nlohmann::json report = {{"bodies", all.size()},
                           {"pairs", r.pairs},
                           {"mode", a.mode},
                           {"sam", embedder.sam_hash()},
                           {"whole", to_json(r.whole)}};
  if (a.plan.cut_z_mm > 0) report["cut"] = to_json(r.cut), report["cut"]["z_mm"] = a.plan.cut_z_mm;
  if (!a.out.empty()) write_file_atomically(a.out, report.dump(2) + "\n");
  if (a.json) {
    std::cout << report.dump(2) << "\n";
    return 0;
  }
  std::printf("%-10s %-12s %8s %8s %11s %11s %8s\n", "target", "method", "median", "p90", "< 10 mm",
              "> 30 mm", "points");
  print("whole", r.whole);
  if (a.plan.cut_z_mm > 0) print("cut in z", r.cut);
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
