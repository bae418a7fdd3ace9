// Named tensors in a file: safetensors (header length, JSON header, data), which Python's
// safetensors package reads. Written atomically; read with every offset checked before a byte is
// used.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <filesystem>
#include <map>
#include <string>

namespace homolog::model {

struct WeightsFile {
  std::map<std::string, torch::Tensor>
      tensors;                                  // CPU, contiguous; F64 F32 F16 BF16 I64 I32 U8 BOOL
  std::map<std::string, std::string> metadata;  // "__metadata__" of the header
};

// Writes and fsyncs `file`. Tensors may live on any device. Throws Fault::Environment.
void write_weights(const std::filesystem::path& file, const WeightsFile& weights);

// Throws Fault::Data: missing, truncated, offsets that overlap, leave holes or leave the file, a
// name that comes twice or is no text, unknown type, not safetensors.
WeightsFile read_weights(const std::filesystem::path& file);

// xxh3 over names, shapes and bytes, in name order; independent of the file's layout.
std::uint64_t weights_hash(const std::map<std::string, torch::Tensor>& tensors);

// Copy `from` into the module's parameters and buffers of the same names. Checks all before copying
// any. Throws Fault::Data listing what is missing, unexpected, of another shape, or not finite.
void load_into(torch::nn::Module& module, const std::map<std::string, torch::Tensor>& from,
               const std::string& origin);

}  // namespace homolog::model
