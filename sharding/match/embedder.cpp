#include "sharding/match/embedder.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>

#include "base/error.h"
#include "base/hash.h"
#include "model/sam_net.h"
#include "model/weights/weights_file.h"
#include "sharding/match/sam_weights.h"

namespace homolog::match {

struct Embedder::State {
  SamWeights weights;
  std::shared_ptr<model::SamNet> net;
};

Embedder::Embedder(const std::filesystem::path& file) : state_(std::make_unique<State>()) {
  state_->weights = read_sam_weights(file);
  state_->net = std::make_shared<model::SamNet>(state_->weights.net);
  model::load_into(*state_->net, state_->weights.tensors, file.string());
  state_->net->eval();
}

Embedder::~Embedder() = default;
const std::string& Embedder::sam_hash() const noexcept { return state_->weights.hash; }
double Embedder::spacing_mm() const noexcept { return state_->weights.spacing_mm; }
Index3 Embedder::cell() const noexcept { return coarse_cell(state_->weights.net); }

Embedding Embedder::embed(const Volume& volume) {
  const SamWeights& w = state_->weights;
  const Volume seen =
      resample(volume, with_spacing(volume.grid, {w.spacing_mm, w.spacing_mm, w.spacing_mm}));
  const Index3 n = seen.grid.size, least = cell();
  if (n.x < least.x || n.y < least.y || n.z < least.z) {
    throw Error(Fault::Data,
                "volume " + volume.id + " is too small for SAM: " + std::to_string(n.x) + "x" +
                    std::to_string(n.y) + "x" + std::to_string(n.z) + " voxels of " +
                    std::to_string(w.spacing_mm) + " mm",
                "leave it out; SAM needs at least one coarse cell along each axis");
  }
  std::vector<float> image(seen.hu.size());
  for (std::size_t i = 0; i < image.size(); ++i) image[i] = w.intensity(seen.hu[i]);
  at::NoGradGuard no_grad;
  const model::SamMaps maps =
      state_->net->forward(at::from_blob(image.data(), {1, 1, n.z, n.y, n.x}, at::kFloat));
  Embedding e;
  e.volume_id = volume.id;
  e.sam_hash = w.hash;
  e.volume_grid = volume.grid;
  e.sam_grid = seen.grid;
  e.fine_CDHW = maps.fine_BCZYX[0].to(at::kHalf).contiguous();
  e.coarse_CDHW = maps.coarse_BCZYX[0].to(at::kHalf).contiguous();
  e.fine_stride = {2, 2, 2};
  e.coarse_stride = least;
  return e;
}

}  // namespace homolog::match
