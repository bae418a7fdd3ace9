// homolog-sam: train SAM, embed volumes, match points, picture a match. Each subcommand puts
// library parts together; the engine that trains is the one of homolog-train.
#include <torch/types.h>
#include <torch/utils.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/options.h"
#include "base/progress.h"
#include "base/run_main.h"
#include "base/stop_signal.h"
#include "objective/objective_entry.h"
#include "sharding/import/load.h"
#include "sharding/import/survey.h"
#include "sharding/match/embedder.h"
#include "sharding/match/embedding_folder.h"
#include "sharding/match/picture.h"
#include "sharding/match/sam_weights.h"
#include "train/patch_source.h"
#include "train/session.h"

namespace {

using namespace homolog;
namespace fs = std::filesystem;

// ---- train -------------------------------------------------------------------------------------

std::string catalogue_hash(const std::vector<import::CatalogEntry>& entries) {
  Xxh3 hash;
  for (const auto& e : entries) hash.update(e.content_hash.data(), e.content_hash.size());
  return hex64(hash.digest());
}

struct SamTraining {
  fs::path catalog;
  std::int64_t first = 0;
  data::VolumeStreamPlan stream;
  train::TrainingPlan plan;
  std::unique_ptr<objective::Factory> objective = objective::find("sam").factory();
};

std::vector<import::CatalogEntry> training_scans(const SamTraining& t) {
  auto entries = import::read_catalog(t.catalog);
  if (t.first > 0 && static_cast<std::size_t>(t.first) < entries.size())
    entries.resize(static_cast<std::size_t>(t.first));
  return entries;
}

void write_result(const SamTraining& t, const model::SamNet& net) {
  match::SamWeights weights;
  weights.net = net.plan();
  weights.intensity = t.stream.view.intensity;
  weights.spacing_mm = t.stream.view.spacing_mm;
  for (const auto& item : net.named_parameters())
    weights.tensors[item.key()] = item.value().detach();
  for (const auto& item : net.named_buffers()) weights.tensors[item.key()] = item.value();
  const fs::path file = t.plan.run / "sam.safetensors";
  const std::string hash = match::write_sam_weights(file, weights);
  log::info("sam written", {{"file", file}, {"hash", hash}});
}

int run_train(int argc, char** argv) {
  Options options("homolog sam train",
                  "--catalog C --run DIR --config configs/sam_small.ini [--set KEY=VALUE ...]",
                  "Trains SAM on the volumes of a catalogue; ends by writing DIR/sam.safetensors.");
  SamTraining t;
  t.plan.schedule.validate_every = 0;
  options.add("catalog", t.catalog, "catalogue of the volumes", {.required = true});
  options.add("first", t.first,
              "train on the first N volumes alone (the others stay for evaluation); 0: on all",
              {.min = 0});
  t.objective->declare(options);
  data::declare(options, t.stream);
  train::declare(options, t.plan);
  options.leave_to_others({"monitor", "launch"});
  if (!options.parse(argc, argv)) return 0;
  if (t.plan.schedule.validate_every != 0) {
    throw Error(Fault::Usage,
                "schedule.validate_every is set, but SAM is not validated during training",
                "set it to 0 and use `homolog evaluate landmarks`");
  }
  const auto entries = training_scans(t);
  std::shared_ptr<model::SamNet> net;
  int rank = 0;
  train::TrainingParts parts;
  parts.program = "homolog-sam";
  parts.identity = {{"catalog", catalogue_hash(entries)}, {"objective", "sam"}};
  parts.objective = [&] {
    auto made = t.objective->make(*backbone::catalog().front()->factory(), {1, 1, 1});
    // It outlives the engine: its weights are written below.
    net = std::dynamic_pointer_cast<model::SamNet>(made->online().shared_from_this());
    return made;
  };
  parts.source = [&](const train::Start& start) {
    rank = start.rank;
    const auto load = [&entries](std::size_t i) { return import::load_volume(entries.at(i)); };
    return std::make_unique<train::PatchSource>(t.stream, entries.size(), load, start);
  };
  const int code = train::run_training(t.plan, parts, options);
  if (code == 0 && rank == 0) write_result(t, *net);
  return code;
}

// ---- embed -------------------------------------------------------------------------------------

int run_embed(int argc, char** argv) {
  Options options("homolog sam embed", "--catalog C --sam WEIGHTS --out DIR",
                  "Embeds each volume of a catalogue. What is there already, whole and of these "
                  "weights, is kept.");
  fs::path catalog, sam, out;
  options.add("catalog", catalog, "catalogue of the volumes", {.required = true});
  options.add("sam", sam, "weights that `homolog sam train` wrote", {.required = true});
  options.add("out", out, "folder of the embeddings", {.required = true});
  if (!options.parse(argc, argv)) return 0;
  const auto entries = import::read_catalog(catalog);
  match::Embedder embedder(sam);
  fs::create_directories(out);
  listen_for_stop_signals();
  Progress progress("embed", static_cast<std::int64_t>(entries.size()), "volumes");
  int kept = 0, failed = 0;
  for (const auto& entry : entries) {
    if (stop_signals_received() > 0)
      throw Error(Fault::Stopped, "stopped on request", "run the same command again: it continues");
    const fs::path file = match::embedding_file(out, entry.id);
    if (match::is_current(file, embedder.sam_hash(), entry.content_hash)) {
      ++kept;
    } else {
      try {
        match::Embedding e = embedder.embed(import::load_volume(entry));
        e.content_hash = entry.content_hash;
        match::save_embedding(e, file);
      } catch (const Error& fault) {
        if (fault.fault() != Fault::Data) throw;
        ++failed;
        log::warn("volume left out", {{"id", entry.id}, {"reason", fault.summary()}});
      }
    }
    progress.advance();
  }
  progress.finish();
  log::info("embedded", {{"volumes", entries.size() - failed},
                         {"kept", kept},
                         {"left_out", failed},
                         {"folder", out}});
  if (failed == static_cast<int>(entries.size()))
    throw Error(Fault::Data, "no volume could be embedded", "see the reasons above");
  return 0;
}

// ---- match, show -------------------------------------------------------------------------------

struct MatchQuestion {
  fs::path sam, catalog;
  std::string query, key, mode = "refined";
  std::vector<double> point;
  bool world = false;
};

void declare(Options& o, MatchQuestion& q) {
  o.add("sam", q.sam, "weights that `homolog sam train` wrote", {.required = true});
  o.add("catalog", q.catalog, "catalogue, where --query and --key are its ids");
  o.add("query", q.query, "scan with the point: a file, a DICOM folder, or an id of the catalogue",
        {.required = true});
  o.add("key", q.key, "scan in which to find it", {.required = true});
  o.add("point", q.point, "x,y,z: voxel index of the query in LPS order (see --mm)",
        {.required = true});
  o.add("mm", q.world, "the point is in LPS millimetres");
  o.add("mode", q.mode, "exact: cell by cell as published; refined: sub-cell",
        {.choices = {"exact", "refined"}});
}

Volume scan(const std::string& name, const fs::path& catalog) {
  if (!catalog.empty()) {
    for (const auto& entry : import::read_catalog(catalog)) {
      if (entry.id == name) return import::load_volume(entry);
    }
  }
  if (!fs::exists(name)) {
    throw Error(Fault::Data, name + " is neither a file nor an id of the catalogue",
                "give a path, or --catalog and one of its ids");
  }
  const import::Survey found = import::survey({name}, "one scan", 1);
  std::vector<import::CatalogEntry> usable;
  for (const auto& e : found.entries) {
    if (e.verdict != import::Verdict::Reject) usable.push_back(e);
  }
  if (usable.size() != 1) {
    const std::string why =
        usable.empty() && !found.entries.empty() && !found.entries[0].reasons.empty()
            ? ": " + found.entries[0].reasons[0]
            : "";
    throw Error(Fault::Data, name + " holds " + std::to_string(usable.size()) + " usable CT" + why,
                "give a path with exactly one");
  }
  return import::load_volume(usable[0]);
}

struct Answer {
  Volume query, key;
  Point3 point;  // voxel index in the query
  match::Match match;
};

Answer answer(const MatchQuestion& q) {
  if (q.point.size() != 3) throw Error(Fault::Usage, "--point needs three numbers", "write x,y,z");
  match::Embedder embedder(q.sam);  // first: wrong weights are told before scans are read
  Answer a{
      scan(q.query, q.catalog), scan(q.key, q.catalog), {q.point[0], q.point[1], q.point[2]}, {}};
  const Grid& grid = a.query.grid;
  if (q.world) a.point = grid.to_index(a.point);
  if (!grid.contains({std::llround(a.point.x), std::llround(a.point.y), std::llround(a.point.z)})) {
    throw Error(Fault::Usage,
                "--point lies outside the query, which has " + std::to_string(grid.size.x) + "x" +
                    std::to_string(grid.size.y) + "x" + std::to_string(grid.size.z) + " voxels",
                "give a voxel inside, or --mm with LPS millimetres");
  }
  const auto mode = q.mode == "exact" ? match::Mode::Exact : match::Mode::Refined;
  a.match =
      match::match_points(embedder.embed(a.query), embedder.embed(a.key), {a.point}, mode).front();
  return a;
}

nlohmann::json to_json(const Point3& p) { return {p.x, p.y, p.z}; }

void report(const Answer& a, bool json) {
  const Point3 mm = a.key.grid.to_world(a.match.index);
  if (json) {
    std::cout << nlohmann::json{{"query_index", to_json(a.point)},
                                {"query_mm", to_json(a.query.grid.to_world(a.point))},
                                {"key_index", to_json(a.match.index)},
                                {"key_voxel", {a.match.voxel.x, a.match.voxel.y, a.match.voxel.z}},
                                {"key_mm", to_json(mm)},
                                {"score", a.match.score}}
                     .dump(2)
              << "\n";
    return;
  }
  std::cout << "voxel " << a.match.voxel.x << "," << a.match.voxel.y << "," << a.match.voxel.z
            << "  LPS mm " << mm.x << "," << mm.y << "," << mm.z << "  score " << a.match.score
            << "\n";
}

int run_match(int argc, char** argv, bool picture) {
  Options options(picture ? "homolog sam show" : "homolog sam match",
                  std::string("--sam WEIGHTS --query A --key B --point x,y,z") +
                      (picture ? " --out match.png" : ""),
                  picture
                      ? "Draws a point and its match: axial and coronal slices, the score as a bar."
                      : "Finds the homologous point in another scan.");
  MatchQuestion question;
  bool json = false;
  fs::path out;
  declare(options, question);
  options.add("json", json, "print the match as JSON");
  if (picture) options.add("out", out, "picture to write (PNG)", {.required = true});
  if (!options.parse(argc, argv)) return 0;
  const Answer a = answer(question);
  report(a, json);
  if (picture) match::write_png(match::picture_of_match(a.query, a.point, a.key, a.match), out);
  return 0;
}

int body(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "--help";
  if (command == "train") return run_train(argc - 1, argv + 1);
  if (command == "embed") return run_embed(argc - 1, argv + 1);
  if (command == "match" || command == "show")
    return run_match(argc - 1, argv + 1, command == "show");
  const std::string usage =
      "usage: homolog sam train | embed | match | show   (each has --help)\n\n"
      "  train   learn anatomical embeddings from the volumes of a catalogue\n"
      "  embed   embed each volume of a catalogue\n"
      "  match   find a point of one scan in another\n"
      "  show    picture of a match\n";
  if (command != "--help" && command != "-h") {
    throw Error(Fault::Usage, "homolog sam has no command '" + command + "'",
                "use train, embed, match or show");
  }
  std::cout << usage;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return homolog::run_main(argc, argv, "homolog-sam", [&] { return body(argc, argv); });
}
