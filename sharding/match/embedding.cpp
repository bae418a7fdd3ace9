// Embeddings on disk: one safetensors file each, geometry and checksum in its metadata.
#include "sharding/match/embedding.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/hash.h"
#include "model/weights/weights_file.h"

namespace homolog::match {
namespace {

constexpr const char* kFormat = "homolog-embedding";
constexpr const char* kVersion = "1";

nlohmann::json to_json(const Grid& g) {
  return {{"size", {g.size.x, g.size.y, g.size.z}},
          {"origin", {g.origin.x, g.origin.y, g.origin.z}},
          {"spacing", {g.spacing.x, g.spacing.y, g.spacing.z}},
          {"direction", g.direction}};
}

Index3 index_from(const nlohmann::json& j) { return {j.at(0), j.at(1), j.at(2)}; }
Point3 point_from(const nlohmann::json& j) { return {j.at(0), j.at(1), j.at(2)}; }
nlohmann::json to_json(const Index3& i) { return {i.x, i.y, i.z}; }

Grid grid_from(const nlohmann::json& j) {
  Grid g;
  g.size = index_from(j.at("size"));
  g.origin = point_from(j.at("origin"));
  g.spacing = point_from(j.at("spacing"));
  g.direction = j.at("direction").get<std::array<double, 9>>();
  if (g.size.x < 1 || g.size.y < 1 || g.size.z < 1 || !(g.spacing.x > 0) || !(g.spacing.y > 0) ||
      !(g.spacing.z > 0)) {
    throw std::runtime_error("impossible grid");
  }
  return g;
}

Index3 cells(const at::Tensor& map_CDHW) {
  return {map_CDHW.size(3), map_CDHW.size(2), map_CDHW.size(1)};
}

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& why) {
  throw Error(Fault::Data, file.string() + ": " + why, "make it again with `homolog sam embed`");
}

void check(const Embedding& e, const std::filesystem::path& file) {
  const auto bad = [](const at::Tensor& t) {
    return t.dim() != 4 || t.numel() == 0 || !t.is_floating_point();
  };
  if (bad(e.fine_CDHW) || bad(e.coarse_CDHW) || e.fine_CDHW.size(0) != e.coarse_CDHW.size(0)) {
    refuse(file, "its maps are not [C,D,H,W] with equal C");
  }
  const auto positive = [](const Index3& s) { return s.x > 0 && s.y > 0 && s.z > 0; };
  if (!positive(e.fine_stride) || !positive(e.coarse_stride))
    refuse(file, "its strides are not positive");
}

}  // namespace

Index3 Embedding::fine_cells() const { return cells(fine_CDHW); }
Index3 Embedding::coarse_cells() const { return cells(coarse_CDHW); }

void save_embedding(const Embedding& e, const std::filesystem::path& file) {
  model::WeightsFile out;
  out.tensors["fine_CDHW"] = e.fine_CDHW.to(at::kCPU, at::kHalf).contiguous();
  out.tensors["coarse_CDHW"] = e.coarse_CDHW.to(at::kCPU, at::kHalf).contiguous();
  out.metadata = {{"format", kFormat},
                  {"version", kVersion},
                  {"volume_id", e.volume_id},
                  {"content_hash", e.content_hash},
                  {"sam_hash", e.sam_hash},
                  {"volume_grid", to_json(e.volume_grid).dump()},
                  {"sam_grid", to_json(e.sam_grid).dump()},
                  {"fine_stride", to_json(e.fine_stride).dump()},
                  {"coarse_stride", to_json(e.coarse_stride).dump()},
                  {"checksum", hex64(model::weights_hash(out.tensors))}};
  model::write_weights(file, out);
}

Embedding load_embedding(const std::filesystem::path& file) {
  const model::WeightsFile in = model::read_weights(file);
  const auto entry = [&](const char* key) -> const std::string& {
    const auto found = in.metadata.find(key);
    if (found == in.metadata.end())
      refuse(file, std::string("no embedding: '") + key + "' is missing from its header");
    return found->second;
  };
  if (entry("format") != kFormat) refuse(file, "no embedding, but " + entry("format"));
  if (entry("version") != kVersion)
    refuse(file, "embedding of version " + entry("version") + ", this program reads " + kVersion);
  Embedding e;
  try {
    e.volume_grid = grid_from(nlohmann::json::parse(entry("volume_grid")));
    e.sam_grid = grid_from(nlohmann::json::parse(entry("sam_grid")));
    e.fine_stride = index_from(nlohmann::json::parse(entry("fine_stride")));
    e.coarse_stride = index_from(nlohmann::json::parse(entry("coarse_stride")));
    e.fine_CDHW = in.tensors.at("fine_CDHW");
    e.coarse_CDHW = in.tensors.at("coarse_CDHW");
  } catch (const Error&) {
    throw;
  } catch (const std::exception& fault) {
    refuse(file, std::string("broken header: ") + fault.what());
  }
  e.volume_id = entry("volume_id");
  e.content_hash = entry("content_hash");
  e.sam_hash = entry("sam_hash");
  check(e, file);
  if (hex64(model::weights_hash(in.tensors)) != entry("checksum"))
    refuse(file, "its content does not have its checksum");
  return e;
}

}  // namespace homolog::match
