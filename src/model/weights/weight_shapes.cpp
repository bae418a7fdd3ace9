#include "model/weights/weight_shapes.h"

#include <torch/types.h>

#include <cmath>

namespace homolog::model {

using backbone::Misfit;

Shape shape_of(const backbone::NamedTensors& tensors, const std::string& name) {
  const auto found = tensors.find(name);
  return found == tensors.end() ? Shape() : found->second.sizes().vec();
}

std::string shape_text(const Shape& shape) {
  std::string text;
  for (const std::int64_t side : shape) text += (text.empty() ? "" : ", ") + std::to_string(side);
  return text.empty() ? "nothing" : "[" + text + "]";
}

std::string nth(const std::string& name, std::int64_t number) {
  const std::size_t at = name.find('%');
  return name.substr(0, at) + std::to_string(number) + name.substr(at + 1);
}

std::int64_t count_numbered(const backbone::NamedTensors& tensors, const std::string& name) {
  std::int64_t count = 0;
  while (tensors.contains(nth(name, count))) ++count;
  return count;
}

std::int64_t cube_root(std::int64_t value) {
  const auto root = static_cast<std::int64_t>(std::llround(std::cbrt(static_cast<double>(value))));
  return root * root * root == value ? root : 0;
}

std::int64_t window_of(std::int64_t positions) {
  const std::int64_t side = cube_root(positions);
  return side % 2 == 1 ? (side + 1) / 2 : 0;
}

backbone::Size3 cube_of(std::int64_t tokens, std::int64_t side) {
  const std::int64_t voxels = cube_root(tokens) * side;
  return {voxels, voxels, voxels};
}

std::string list_text(const Shape& numbers) {
  std::string text;
  for (const std::int64_t n : numbers) text += (text.empty() ? "" : ",") + std::to_string(n);
  return text;
}

std::vector<Misfit> misfits_of_kernel(const backbone::NamedTensors& tensors,
                                      const std::string& name, std::int64_t side) {
  const Shape shape = shape_of(tensors, name);
  const std::string sides = side > 0 ? std::to_string(side) : "N";
  const std::string wanted = "has shape " + shape_text(shape) + ", needs [" +
                             (shape.empty() ? "C" : std::to_string(shape[0])) + ", 1, " + sides +
                             ", " + sides + ", " + sides + "]";
  if (shape.empty()) return {{name + " is missing", ""}};
  if (shape.size() == 4)
    return {{"2-D convolutions: " + name + " " + wanted, "networks here are 3-D alone"}};
  if (shape.size() != 5) return {{name + " " + wanted, ""}};
  std::vector<Misfit> misfits;
  if (shape[1] != 1) {
    misfits.push_back({std::to_string(shape[1]) + " input channels: " + name + " " + wanted,
                       "networks here take one channel: in Python sum " + name +
                           " over its channels, w.sum(1, " +
                           "keepdim=True), or keep one of them, and save the weights again"});
  }
  if (shape[2] != shape[3] || shape[2] != shape[4]) {
    misfits.push_back({"a kernel that is no cube: " + name + " " + wanted,
                       "patches and first kernels here are cubes alone"});
  } else if (side > 0 && shape[2] != side) {
    misfits.push_back(
        {"a first kernel of " + std::to_string(shape[2]) + " voxels: " + name + " " + wanted,
         "this network has first kernels of " + sides + " voxels alone"});
  }
  return misfits;
}

BiasTable read_bias_table(const backbone::NamedTensors& tensors, const std::string& name) {
  const Shape shape = shape_of(tensors, name);
  if (shape.size() != 2) {
    return {.misfits = {{name + " has " + (shape.empty() ? "" : "shape ") + shape_text(shape) +
                             ", needs [(2w-1)^3, heads] for a window of w tokens",
                         "blocks without window attention are not supported"}}};
  }
  BiasTable table{.window = window_of(shape[0]), .heads = shape[1]};
  if (table.window == 0) {
    table.misfits.push_back({"a window that is no cube: " + name + " has shape " +
                                 shape_text(shape) + ", needs [(2w-1)^3, heads]",
                             "windows here are cubes alone"});
  }
  return table;
}

void append(std::vector<Misfit>& all, const std::vector<Misfit>& more) {
  all.insert(all.end(), more.begin(), more.end());
}

}  // namespace homolog::model
