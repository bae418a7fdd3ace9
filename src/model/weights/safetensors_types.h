// Types of numbers as safetensors names them.
#pragma once

#include <torch/types.h>

#include <optional>
#include <string_view>

namespace homolog::model {

struct SafetensorsType {
  torch::Dtype type;
  const char* name;
};
constexpr SafetensorsType kSafetensorsTypes[] = {
    {torch::kFloat32, "F32"},   {torch::kFloat64, "F64"}, {torch::kFloat16, "F16"},
    {torch::kBFloat16, "BF16"}, {torch::kInt64, "I64"},   {torch::kInt32, "I32"},
    {torch::kInt16, "I16"},     {torch::kInt8, "I8"},     {torch::kUInt8, "U8"},
    {torch::kBool, "BOOL"}};

inline std::optional<torch::Dtype> safetensors_type(std::string_view name) {
  for (const SafetensorsType& row : kSafetensorsTypes)
    if (row.name == name) return row.type;
  return std::nullopt;
}

}  // namespace homolog::model
