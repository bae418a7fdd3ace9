// Reading a network's options from the shapes of its weights: what the networks' readers
// (*_names.h) share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/backbone_entry.h"

namespace homolog::model {

using Shape = std::vector<std::int64_t>;

// A tensor's shape, empty where it is missing.
Shape shape_of(const backbone::NamedTensors& tensors, const std::string& name);
std::string shape_text(const Shape& shape);  // "[48, 1, 2, 2, 2]", "nothing" where it is empty

// Blocks numbered from 0 without a gap, `name` holding "%" for the number.
std::int64_t count_numbered(const backbone::NamedTensors& tensors, const std::string& name);
std::string nth(const std::string& name, std::int64_t number);  // "%" replaced

// The whole cube root; 0: none.
std::int64_t cube_root(std::int64_t value);
// The window w with (2w - 1)^3 relative positions; 0: none.
std::int64_t window_of(std::int64_t positions);
// The cube of so many tokens of `side` voxels, in voxels; 0s: no cube.
backbone::Size3 cube_of(std::int64_t tokens, std::int64_t side);

std::string list_text(const Shape& numbers);  // "2,2,2,2"

// What keeps a tensor from being the first kernel of a network that takes one channel: (out, 1,
// side, side, side); side 0: any. Nothing where it is one.
std::vector<backbone::Misfit> misfits_of_kernel(const backbone::NamedTensors& tensors,
                                                const std::string& name, std::int64_t side);

// A relative-position bias table's window and heads, and what is wrong with it.
struct BiasTable {
  std::int64_t window = 0, heads = 0;
  std::vector<backbone::Misfit> misfits{};
};
BiasTable read_bias_table(const backbone::NamedTensors& tensors, const std::string& name);

void append(std::vector<backbone::Misfit>& all, const std::vector<backbone::Misfit>& more);

}  // namespace homolog::model
