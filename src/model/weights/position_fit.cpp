#include "model/weights/position_fit.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>

#include "model/blocks/position_table.h"
#include "model/crop_text.h"
#include "model/weights/weight_shapes.h"

namespace homolog::backbone {
namespace {

constexpr const char* kCropKeys[] = {"crop", "trained.crop"};
constexpr double kSineTolerance = 0.01;  // of 16-bit floats

std::int64_t tokens(const Size3& grid) { return grid[0] * grid[1] * grid[2]; }

}  // namespace

bool PositionFit::is_of_another_grid(const std::string& name,
                                     const torch::Tensor& table_1LC) const {
  Size3 from{};
  const auto table = tables_.find(name);
  return table != tables_.end() && grid_of_file(table->second, table_1LC.size(1), from) &&
         from != table->second;
}

bool PositionFit::has_its_sines(const std::string& name, const torch::Tensor& own,
                                const torch::Tensor& table_1LC) const {
  return !tables_.contains(name) || !network_.has_sine_positions(name) ||
         table_1LC.to(own.scalar_type()).allclose(own.cpu(), 0, kSineTolerance);
}

bool PositionFit::resample(const std::string& name, const torch::Tensor& own,
                           torch::Tensor& table_1LC, std::vector<std::string>& resampled) const {
  const auto table = tables_.find(name);
  if (!rules_.resample || table == tables_.end() || table_1LC.dim() != 3 ||
      table_1LC.size(0) != 1 || table_1LC.size(2) != own.size(2))
    return false;
  const Size3& to = table->second;
  Size3 from{};
  if (!grid_of_file(to, table_1LC.size(1), from)) return false;
  table_1LC = table_1LC.to(torch::kFloat32);
  const bool sines =
      network_.has_sine_positions(name) &&
      table_1LC.allclose(model::sine_positions_1LC(from, own.size(2)), 0, kSineTolerance);
  table_1LC = sines ? own.detach().cpu() : model::resize_position_table(table_1LC, from, to);
  resampled.push_back(name + " from " + crop_text(from) + " to " + crop_text(to) + " tokens");
  return true;
}

void PositionFit::note_assumed_grid(const std::string& name, std::int64_t count,
                                    std::vector<std::string>& notes) const {
  const auto table = tables_.find(name);
  Size3 grid{};
  if (table == tables_.end() || !rules_.resample || states_crop(grid) ||
      !grid_of_file(table->second, count, grid))
    return;
  notes.push_back(name + ": the file does not tell how its " + std::to_string(count) +
                  " tokens lie, taken for a grid of " + crop_text(grid) +
                  "; homolog import --crop X,Y,Z states another");
}

std::string PositionFit::remedy(const NamedTensors& given) const {
  for (const auto& [name, grid] : tables_) {
    const auto found = given.find(name);
    if (found == given.end() || found->second.dim() != 3 || found->second.size(1) == tokens(grid))
      continue;
    const std::string side = std::to_string(rules_.crop[0] / grid[0]);
    return "the position table is of another crop: give the one that it was made for, --crop "
           "X,Y,Z, where X/" +
           side + " * Y/" + side + " * Z/" + side + " is " + std::to_string(found->second.size(1));
  }
  return "";
}

bool PositionFit::states_crop(Size3& crop) const {
  return std::any_of(std::begin(kCropKeys), std::end(kCropKeys), [&](const char* key) {
    const auto stated = metadata_.find(key);
    return stated != metadata_.end() && parse_crop(stated->second, crop);
  });
}

// From the crop that the file states; else this network's where it has as many tokens, or a cube.
bool PositionFit::grid_of_file(const Size3& own_grid, std::int64_t count, Size3& grid) const {
  if (Size3 crop{}; states_crop(crop)) {
    for (std::size_t a = 0; a < 3; ++a) grid[a] = own_grid[a] * crop[a] / rules_.crop[a];
    return tokens(grid) == count;
  }
  grid = own_grid;
  if (tokens(grid) == count) return true;
  grid = model::cube_of(count, 1);
  return grid[0] > 0;
}

}  // namespace homolog::backbone
