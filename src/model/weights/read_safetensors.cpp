// Reads safetensors (read_weights of weights_file.h): the whole header is checked before a tensor
// is made.
#include <torch/utils.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "model/weights/file_kind.h"
#include "model/weights/file_words.h"
#include "model/weights/safetensors_types.h"
#include "model/weights/weights_file.h"

namespace homolog::model {
namespace {

using nlohmann::json;
constexpr std::uint64_t kMaxHeader = 100'000'000;  // the format's own limit
constexpr std::size_t kMostValues = 1'000'000;     // of the header's JSON
constexpr int kDeepest = 2;                        // {name: {shape: [...]}}

[[noreturn]] void broken(const std::filesystem::path& file, const std::string& why) {
  throw Error(Fault::Data, file.string() + " is not a usable weights file: " + why,
              "give a .safetensors file that homolog export, sam train or safetensors wrote, "
              "copied in full");
}

// Looks at the header while it is parsed: JSON can take much more memory than its text.
class HeaderWatch {
 public:
  explicit HeaderWatch(const std::filesystem::path& file) : file_(file) {}
  bool operator()(int depth, json::parse_event_t event, const json& parsed) {
    using Event = json::parse_event_t;
    const bool opens = event == Event::object_start || event == Event::array_start;
    if (opens && depth > kDeepest) broken(file_, "its header is nested too deep");
    if (++values_ > kMostValues) broken(file_, "its header holds too many values");
    if (event == Event::object_start && depth < kDeepest) keys_[depth].clear();
    if (event != Event::key || depth > kDeepest) return true;
    const auto& key = parsed.get_ref<const std::string&>();
    if (!keys_[depth - 1].insert(key).second)
      broken(file_, "its header has \"" + printable(key) + "\" twice");
    return true;
  }

 private:
  const std::filesystem::path& file_;
  std::size_t values_ = 0;
  std::set<std::string> keys_[kDeepest];
};

json parse_header(const std::string& text, const std::filesystem::path& file) try {
  HeaderWatch watch(file);
  json header = json::parse(text, std::ref(watch));
  if (!header.is_object()) broken(file, "its header is not a JSON object");
  return header;
} catch (const json::exception& e) {
  broken(file, "its header is malformed: " + printable(e.what()));
}

// A tensor as the header states it.
struct Stated {
  std::string name;
  torch::Dtype type = torch::kFloat32;
  std::vector<std::int64_t> shape{};
  std::uint64_t begin = 0, end = 0;  // of the data section
};

bool are_counts(const json& list) {
  return list.is_array() && std::all_of(list.begin(), list.end(), [](const json& n) {
           return n.is_number_unsigned() && n.get<std::uint64_t>() <= INT64_MAX;
         });
}

Stated read_entry(const std::string& name, const json& entry, std::uint64_t data_bytes,
                  const std::filesystem::path& file) {
  if (!is_name(name)) broken(file, "a tensor's name is no text: " + printable(name));
  if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") ||
      !entry.contains("data_offsets"))
    broken(file, name + " lacks dtype, shape or data_offsets");
  const json &dtype = entry.at("dtype"), &offsets = entry.at("data_offsets");
  if (!dtype.is_string() || !are_counts(entry.at("shape")) || !are_counts(offsets) ||
      offsets.size() != 2)
    broken(file, name + "'s dtype, shape or data_offsets are not what safetensors writes");
  Stated out{.name = name};
  const auto type = safetensors_type(dtype.get<std::string>());
  if (!type) broken(file, name + " has the unknown type " + printable(dtype.get<std::string>()));
  out.type = *type;
  out.shape = entry.at("shape").get<std::vector<std::int64_t>>();
  out.begin = offsets[0].get<std::uint64_t>(), out.end = offsets[1].get<std::uint64_t>();
  if (out.begin > out.end || out.end > data_bytes)
    broken(file, name + " reaches past the end of the file (truncated?)");
  const auto elements = elements_of(out.shape);
  if (!elements || *elements * c10::elementSize(out.type) != out.end - out.begin)
    broken(file, name + "'s bytes do not fit its shape");
  return out;
}

// The format has neither holes nor bytes that belong to two tensors.
void check_layout(const std::vector<Stated>& all, std::uint64_t data_bytes,
                  const std::filesystem::path& file) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> spans;
  for (const Stated& one : all) spans.emplace_back(one.begin, one.end);
  std::sort(spans.begin(), spans.end());
  std::uint64_t at = 0;
  for (const auto& [begin, end] : spans) {
    if (begin < at) broken(file, "two tensors overlap");
    if (begin > at) broken(file, "bytes between its tensors belong to none");
    at = end;
  }
  if (at != data_bytes) broken(file, "bytes behind its tensors belong to none");
}

std::string read_header(std::ifstream& in, std::uint64_t bytes, const std::filesystem::path& file) {
  std::uint64_t length = 0;
  if (bytes < sizeof length || !in.read(reinterpret_cast<char*>(&length), sizeof length))
    broken(file, "it is shorter than 8 bytes");
  if (length > kMaxHeader || length > bytes - sizeof length)
    broken(file, "its header does not fit the file");
  std::string text(length, '\0');
  if (!in.read(text.data(), static_cast<std::streamsize>(length)))
    broken(file, "its header cannot be read");
  return text;
}

std::map<std::string, std::string> read_metadata(const json& entry,
                                                 const std::filesystem::path& file) {
  std::map<std::string, std::string> out;
  if (!entry.is_object()) broken(file, "its __metadata__ is no object");
  for (const auto& [key, value] : entry.items()) {
    if (!value.is_string()) broken(file, "its __metadata__ is not of texts alone");
    out[key] = value.get<std::string>();
  }
  return out;
}

}  // namespace

WeightsFile read_weights(const std::filesystem::path& file) {
  refuse_other_kinds(file, first_bytes(file, 64));  // a pipe would keep a stream waiting
  std::error_code code;
  const std::uint64_t bytes = std::filesystem::file_size(file, code);
  std::ifstream in(file, std::ios::binary);
  if (code || !in)
    throw Error(Fault::Data, "cannot read the weights " + file.string(),
                "give the path of a .safetensors file");
  const std::string text = read_header(in, bytes, file);
  const json header = parse_header(text, file);
  const std::uint64_t start = sizeof(std::uint64_t) + text.size();
  WeightsFile result;
  std::vector<Stated> stated;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__")
      result.metadata = read_metadata(entry, file);
    else
      stated.push_back(read_entry(name, entry, bytes - start, file));
  }
  check_layout(stated, bytes - start, file);
  for (const Stated& one : stated) {
    torch::Tensor tensor = torch::empty(one.shape, one.type);
    in.seekg(static_cast<std::streamoff>(start + one.begin));
    if (tensor.nbytes() > 0 && !in.read(static_cast<char*>(tensor.data_ptr()),
                                        static_cast<std::streamsize>(tensor.nbytes())))
      broken(file, "cannot read " + one.name);
    result.tensors.emplace(one.name, tensor);
  }
  return result;
}

}  // namespace homolog::model
