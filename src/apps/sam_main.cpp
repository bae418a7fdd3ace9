// homolog-sam: train SAM (sam_train.cpp), embed volumes, match points, picture a match. Each
// subcommand puts library parts together.
#include <iostream>

#include "apps/sam_train.h"
#include "base/error.h"
#include "base/log.h"
#include "base/options.h"
#include "base/progress.h"
#include "base/run_main.h"
#include "base/stop_signal.h"
#include "picture/picture.h"
#include "sharding/embed_catalogue.h"
#include "sharding/import/usable.h"
#include "sharding/match/picture.h"
#include "sharding/point_match.h"

namespace {

using namespace homolog;
namespace fs = std::filesystem;

int run_embed(int argc, char** argv) {
  Options options("homolog sam embed", "--catalog C --sam WEIGHTS --out DIR",
                  "Embeds each volume of a catalogue. What is there already, whole and of these "
                  "weights, is kept.");
  fs::path catalog, sam, out;
  options.add("catalog", catalog, "catalogue of the volumes", {.required = true});
  options.add("sam", sam, "weights that `homolog sam train` wrote", {.required = true});
  options.add("out", out, "folder of the embeddings", {.required = true});
  if (!options.parse(argc, argv)) return 0;
  match::Embedder embedder(sam);
  const auto found =
      import::usable(import::read_catalog(catalog), embedder.spacing_mm(), embedder.cell());
  listen_for_stop_signals();
  Progress progress("embed", static_cast<std::int64_t>(found.entries.size()), "volumes");
  const auto counts =
      shard::embed_catalogue(found.entries, embedder, out, [&progress] { progress.advance(); });
  progress.finish();
  log::info("embedded", {{"volumes", counts.made + counts.kept},
                         {"kept", counts.kept},
                         {"left_out", counts.left_out.size() + found.left_out.size()},
                         {"folder", out}});
  return 0;
}

void report(const shard::PointAnswer& a, bool json) {
  if (json) {
    std::cout << shard::to_json(a).dump(2) << "\n";
    return;
  }
  const Point3 mm = a.key.grid.to_world(a.match.index);
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
  shard::PointQuestion question;
  bool json = false;
  fs::path out;
  shard::declare(options, question);
  options.add("json", json, "print the match as JSON");
  if (picture) options.add("out", out, "picture to write (PNG)", {.required = true});
  if (!options.parse(argc, argv)) return 0;
  if (picture) check_png_name(out);
  const auto a = shard::find_point(question);
  report(a, json);
  if (picture) write_png(match::picture_of_match(a.query, a.point, a.key, a.match), out);
  return 0;
}

int body(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "--help";
  if (command == "train") return run_sam_train(argc - 1, argv + 1);
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
