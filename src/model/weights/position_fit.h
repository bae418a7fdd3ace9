// Position tables of a file against a network's: of which grid of tokens they are, which leaves no
// trace in their shapes, and the way from one grid to another.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "model/weights/network_weights.h"

namespace homolog::backbone {

class PositionFit {
 public:
  // `metadata`: of the file, where it may state its crop; must outlive this.
  PositionFit(const Backbone& network, const std::map<std::string, std::string>& metadata,
              const FitRules& rules)
      : network_(network), tables_(network.position_tables()), metadata_(metadata), rules_(rules) {}

  // As many tokens, but of another grid: 4x4x8 where 8x4x4 is needed.
  bool is_of_another_grid(const std::string& name, const torch::Tensor& table_1LC) const;
  // A table of another crop, made anew for this one's tokens; told in `resampled`. False: it cannot
  // be, or may not.
  bool resample(const std::string& name, const torch::Tensor& own, torch::Tensor& table_1LC,
                std::vector<std::string>& resampled) const;
  // True where the network does not compute its positions, too.
  bool has_its_sines(const std::string& name, const torch::Tensor& own,
                     const torch::Tensor& table_1LC) const;
  // One line where nobody stated the grid of `count` tokens that was taken.
  void note_assumed_grid(const std::string& name, std::int64_t count,
                         std::vector<std::string>& notes) const;
  // How to state the crop of a table with another number of tokens; "": there is none.
  std::string remedy(const NamedTensors& given) const;

 private:
  bool states_crop(Size3& crop) const;
  bool grid_of_file(const Size3& own_grid, std::int64_t count, Size3& grid) const;

  const Backbone& network_;
  std::map<std::string, Size3> tables_;
  const std::map<std::string, std::string>& metadata_;
  FitRules rules_;
};

}  // namespace homolog::backbone
