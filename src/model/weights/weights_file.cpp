#include "model/weights/weights_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/hash.h"

namespace homolog::model {
namespace {

using nlohmann::json;
constexpr std::uint64_t kMaxHeader = 100'000'000;  // the format's own limit

struct TypeName {
  torch::Dtype type;
  const char* name;
};
constexpr TypeName kTypes[] = {{torch::kFloat32, "F32"}, {torch::kFloat64, "F64"},
                               {torch::kFloat16, "F16"}, {torch::kBFloat16, "BF16"},
                               {torch::kInt64, "I64"},   {torch::kInt32, "I32"},
                               {torch::kInt16, "I16"},   {torch::kInt8, "I8"},
                               {torch::kUInt8, "U8"},    {torch::kBool, "BOOL"}};

const char* type_name(torch::Dtype type) {
  for (const TypeName& row : kTypes) {
    if (row.type == type) return row.name;
  }
  throw Error(Fault::Usage,
              std::string("a weights file cannot hold tensors of type ") + c10::toString(type));
}

[[noreturn]] void broken(const std::filesystem::path& file, const std::string& why) {
  throw Error(Fault::Data, file.string() + " is not a usable weights file: " + why,
              "give a .safetensors file that homolog export, sam train or safetensors wrote, "
              "copied in full");
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

// One entry of the header, checked against the data section's length.
torch::Tensor read_tensor(std::ifstream& in, std::uint64_t data_start, std::uint64_t data_bytes,
                          const std::string& name, const json& entry,
                          const std::filesystem::path& file) {
  if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") ||
      !entry.contains("data_offsets")) {
    broken(file, name + " lacks dtype, shape or data_offsets");
  }
  const std::string dtype = entry.at("dtype").get<std::string>();
  const auto* type = std::find_if(std::begin(kTypes), std::end(kTypes),
                                  [&](const TypeName& row) { return dtype == row.name; });
  if (type == std::end(kTypes)) broken(file, name + " has the unknown type " + dtype);
  std::vector<std::int64_t> shape;
  std::uint64_t elements = 1;
  for (const json& side : entry.at("shape")) {
    const std::uint64_t n = side.get<std::uint64_t>();
    if (n != 0 && elements > data_bytes / n)
      broken(file, name + " claims more elements than the file holds");
    elements *= n;
    shape.push_back(static_cast<std::int64_t>(n));
  }
  const std::uint64_t begin = entry.at("data_offsets").at(0).get<std::uint64_t>();
  const std::uint64_t end = entry.at("data_offsets").at(1).get<std::uint64_t>();
  if (begin > end || end > data_bytes)
    broken(file, name + " reaches past the end of the file (truncated?)");
  if (end - begin != elements * c10::elementSize(type->type))
    broken(file, name + "'s bytes do not fit its shape");
  torch::Tensor tensor = torch::empty(shape, type->type);
  in.seekg(static_cast<std::streamoff>(data_start + begin));
  if (end > begin &&
      !in.read(static_cast<char*>(tensor.data_ptr()), static_cast<std::streamsize>(end - begin))) {
    broken(file, "cannot read " + name);
  }
  return tensor;
}

void check_no_overlap(const json& header, const std::filesystem::path& file) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> spans;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    spans.emplace_back(entry.at("data_offsets").at(0).get<std::uint64_t>(),
                       entry.at("data_offsets").at(1).get<std::uint64_t>());
  }
  std::sort(spans.begin(), spans.end());
  for (std::size_t i = 1; i < spans.size(); ++i) {
    if (spans[i].first < spans[i - 1].second) broken(file, "two tensors overlap");
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

WeightsFile read_weights(const std::filesystem::path& file) {
  std::error_code code;
  const std::uint64_t bytes = std::filesystem::file_size(file, code);
  std::ifstream in(file, std::ios::binary);
  if (code || !in)
    throw Error(Fault::Data, "cannot read the weights " + file.string(),
                "give the path of a .safetensors file");
  std::uint64_t length = 0;
  if (bytes < sizeof length || !in.read(reinterpret_cast<char*>(&length), sizeof length))
    broken(file, "it is shorter than 8 bytes");
  if (length > kMaxHeader || length > bytes - sizeof length)
    broken(file, "its header does not fit the file");
  std::string text(length, '\0');
  in.read(text.data(), static_cast<std::streamsize>(length));
  WeightsFile result;
  try {
    const json header = json::parse(text);
    if (!header.is_object()) broken(file, "its header is not a JSON object");
    const std::uint64_t start = sizeof length + length;
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__")
        result.metadata = entry.get<std::map<std::string, std::string>>();
      else
        result.tensors[name] = read_tensor(in, start, bytes - start, name, entry, file);
    }
    check_no_overlap(header, file);
  } catch (const json::exception& e) {
    broken(file, std::string("its header is malformed: ") + e.what());
  }
  return result;
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
  std::map<std::string, torch::Tensor> wanted;
  for (const auto& item : module.named_parameters()) wanted[item.key()] = item.value();
  for (const auto& item : module.named_buffers()) wanted[item.key()] = item.value();
  std::vector<std::string> wrong;
  for (const auto& [name, tensor] : wanted) {
    const auto found = from.find(name);
    if (found == from.end())
      wrong.push_back("missing: " + name);
    else if (found->second.sizes() != tensor.sizes()) {
      wrong.push_back(name + ": has shape " + c10::str(found->second.sizes()) + ", needs " +
                      c10::str(tensor.sizes()));
    } else if (found->second.is_floating_point() &&
               !torch::isfinite(found->second).all().item<bool>()) {
      wrong.push_back(name + ": holds values that are not finite");
    }
  }
  for (const auto& [name, tensor] : from) {
    if (!wanted.contains(name)) wrong.push_back("unexpected: " + name);
  }
  if (!wrong.empty()) {
    std::string list;
    for (const std::string& line : wrong) list += "\n    " + line;
    throw Error(Fault::Data, origin + " does not fit this network:" + list,
                "use the configuration that these weights were trained with");
  }
  const torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : wanted) tensor.copy_(from.at(name));
}

}  // namespace homolog::model
