#include "model/weights/weights_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/hash.h"
#include "model/parameter_names.h"
#include "model/weights/safetensors_types.h"

namespace homolog::model {
namespace {

using nlohmann::json;

const char* type_name(torch::Dtype type) {
  for (const SafetensorsType& row : kSafetensorsTypes) {
    if (row.type == type) return row.name;
  }
  throw Error(Fault::Usage,
              std::string("a weights file cannot hold tensors of type ") + c10::toString(type));
}

void write_all(int descriptor, const void* data, std::size_t bytes,
               const std::filesystem::path& file) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t n = ::write(descriptor, at, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int code = errno;
      ::close(descriptor);
      throw Error(Fault::Environment, "cannot write " + file.string() + ": " + std::strerror(code),
                  "free space there, or choose another disk");
    }
    at += n;
    bytes -= static_cast<std::size_t>(n);
  }
}

}  // namespace

void write_weights(const std::filesystem::path& file, const WeightsFile& weights) {
  json header = json::object();
  if (!weights.metadata.empty()) header["__metadata__"] = weights.metadata;
  std::vector<torch::Tensor> ordered;
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : weights.tensors) {
    const torch::Tensor flat = tensor.detach().to(torch::kCPU).contiguous();
    header[name] = {{"dtype", type_name(flat.scalar_type())},
                    {"shape", flat.sizes().vec()},
                    {"data_offsets", {offset, offset + flat.nbytes()}}};
    offset += flat.nbytes();
    ordered.push_back(flat);
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // data starts aligned
  PendingPath pending(file);
  const int descriptor =
      ::open(pending.temporary().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    throw Error(Fault::Environment, "cannot create " + file.string() + ": " + std::strerror(errno),
                "check that the folder exists and is writable");
  }
  const std::uint64_t length = text.size();
  write_all(descriptor, &length, sizeof length, file);
  write_all(descriptor, text.data(), text.size(), file);
  for (const torch::Tensor& tensor : ordered)
    write_all(descriptor, tensor.data_ptr(), tensor.nbytes(), file);
  ::close(descriptor);
  pending.publish();
}

std::uint64_t weights_hash(const std::map<std::string, torch::Tensor>& tensors) {
  Xxh3 hash;
  for (const auto& [name, tensor] : tensors) {
    const torch::Tensor flat = tensor.detach().to(torch::kCPU).contiguous();
    const auto shape = flat.sizes().vec();
    hash.update(name.data(), name.size())
        .update(shape.data(), shape.size() * sizeof(shape[0]))
        .update(flat.data_ptr(), flat.nbytes());
  }
  return hash.digest();
}

void load_into(torch::nn::Module& module, const std::map<std::string, torch::Tensor>& from,
               const std::string& origin) {
  std::map<std::string, torch::Tensor> wanted = named_tensors(module);
  std::vector<std::string> wrong;
  std::size_t impossible = 0;  // of these: numbers that no network has
  for (const auto& [name, tensor] : wanted) {
    const auto found = from.find(name);
    if (found == from.end())
      wrong.push_back("missing: " + name);
    else if (found->second.sizes() != tensor.sizes()) {
      wrong.push_back(name + ": has shape " + c10::str(found->second.sizes()) + ", needs " +
                      c10::str(tensor.sizes()));
    } else if (found->second.is_floating_point() &&
               !torch::isfinite(found->second).all().item<bool>()) {
      wrong.push_back(name + ": holds values that are not finite"), ++impossible;
    } else if (is_negative_variance(name, found->second)) {
      wrong.push_back(name + ": holds negative variances"), ++impossible;
    }
  }
  for (const auto& [name, tensor] : from) {
    if (!wanted.contains(name)) wrong.push_back("unexpected: " + name);
  }
  if (!wrong.empty()) {
    std::string list;
    for (const std::string& line : wrong) list += "\n    " + line;
    throw Error(Fault::Data, origin + " does not fit this network:" + list,
                impossible == wrong.size()
                    ? "its numbers are damaged, or its training diverged: take the file again, or "
                      "an earlier checkpoint"
                    : "use the configuration that these weights were trained with");
  }
  const torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : wanted) tensor.copy_(from.at(name));
}

}  // namespace homolog::model
