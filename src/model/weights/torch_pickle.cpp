#include "model/weights/torch_pickle.h"

#include <algorithm>
#include <set>

#include "base/error.h"

namespace homolog::model {
namespace {

using Kind = PickleValue::Kind;
constexpr int kMostNested = 4;  // state dicts within dicts

struct StorageType {
  const char* name;
  torch::Dtype type;
};
constexpr StorageType kStorageTypes[] = {
    {"torch.FloatStorage", torch::kFloat32}, {"torch.DoubleStorage", torch::kFloat64},
    {"torch.HalfStorage", torch::kFloat16},  {"torch.BFloat16Storage", torch::kBFloat16},
    {"torch.LongStorage", torch::kInt64},    {"torch.IntStorage", torch::kInt32},
    {"torch.ShortStorage", torch::kInt16},   {"torch.CharStorage", torch::kInt8},
    {"torch.ByteStorage", torch::kUInt8},    {"torch.BoolStorage", torch::kBool}};

const std::set<std::string>& inert_names() {
  static const std::set<std::string> names = {
      "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2",
      "torch._utils._rebuild_parameter", "torch.Size", "torch.device", "torch.float32",
      "torch.float64", "torch.float16", "torch.bfloat16", "torch.int64", "torch.int32",
      "torch.int16", "torch.int8", "torch.uint8", "torch.bool", "collections.OrderedDict",
      "collections.defaultdict", "collections.Counter", "argparse.Namespace",
      // numbers of NumPy, and what they are made of
      "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar",
      "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct", "numpy.ndarray",
      "numpy.dtype", "_codecs.encode",
      // types alone
      "builtins.set", "builtins.frozenset", "builtins.list", "builtins.dict", "builtins.int",
      "builtins.float", "__builtin__.set", "__builtin__.list", "__builtin__.dict",
      "__builtin__.int", "__builtin__.float", "pathlib.Path", "pathlib.PosixPath",
      "pathlib.WindowsPath", "pathlib.PurePosixPath", "pathlib.PureWindowsPath",
      "pathlib._local.PosixPath", "pathlib._local.WindowsPath"};
  return names;
}

[[noreturn]] void refuse(const std::string& origin, const std::string& why) {
  throw Error(Fault::Data, origin + " is not a usable torch file: " + why,
              "save the state dict alone: torch.save(model.state_dict(), FILE)");
}

bool is_mapping(const PickleValue& v) {
  return v.is(Kind::Dict) || v.is_call("collections.OrderedDict") ||
         v.is_call("collections.defaultdict");
}

using Pairs = std::vector<std::pair<PickleValue*, PickleValue*>>;

// Python 2 wrote an OrderedDict as a call with a list of pairs.
Pairs pairs_of(const PickleValue& mapping) {
  Pairs all = mapping.pairs;
  if (mapping.items.size() != 1 || !mapping.items[0]->is(Kind::List)) return all;
  for (const PickleValue* pair : mapping.items[0]->items) {
    if (pair->items.size() == 2) all.emplace_back(pair->items[0], pair->items[1]);
  }
  return all;
}

const PickleValue* find(const PickleValue& mapping, const std::string& key) {
  const PickleValue* found = nullptr;
  for (const auto& [k, value] : pairs_of(mapping)) {
    if (k->is(Kind::Text) && k->text == key) found = value;
  }
  return found;
}

// The call that rebuilds a tensor, out of a parameter where it is one; nullptr: no tensor.
const PickleValue* tensor_call(const PickleValue* v) {
  if (v->is_call("torch._utils._rebuild_parameter") && !v->items.empty()) v = v->items[0];
  const bool is_tensor =
      v->is_call("torch._utils._rebuild_tensor_v2") || v->is_call("torch._utils._rebuild_tensor");
  return is_tensor ? v : nullptr;
}

bool read_sizes(const PickleValue& v, std::vector<std::int64_t>& out) {
  // torch.Size may be written as a call with one tuple.
  if (v.is_call("torch.Size") && v.items.size() == 1) return read_sizes(*v.items[0], out);
  if (!v.is(Kind::Tuple) && !v.is(Kind::List)) return false;
  for (const PickleValue* item : v.items) {
    if (!item->is(Kind::Int) || item->number < 0) return false;
    out.push_back(item->number);
  }
  return true;
}

// Elements that a view spans, or -1: more than `most`, or two of its elements are one.
std::int64_t span_of(const std::vector<std::int64_t>& sizes,
                     const std::vector<std::int64_t>& strides, std::int64_t most) {
  std::vector<std::pair<std::int64_t, std::int64_t>> axes;  // stride, size
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 0) return 0;
    if (sizes[i] > 1) axes.emplace_back(strides[i], sizes[i]);
  }
  std::sort(axes.begin(), axes.end());
  std::int64_t span = 1;
  for (const auto& [stride, size] : axes) {
    if (stride < span || stride > (most - span) / (size - 1)) return -1;
    span += stride * (size - 1);
  }
  return span;
}

class Reader {
 public:
  Reader(const StorageReader& storage, std::uint64_t most_bytes, const std::string& origin)
      : storage_(storage), left_(most_bytes), origin_(origin) {}

  torch::Tensor tensor(const std::string& name, const PickleValue& call) {
    std::vector<std::int64_t> sizes, strides;
    const auto& a = call.items;
    if (a.size() < 4 || !a[0]->is(Kind::Persistent) || !a[1]->is(Kind::Int) ||
        !read_sizes(*a[2], sizes) || !read_sizes(*a[3], strides) || sizes.size() != strides.size())
      refuse(origin_, name + " is no tensor of a storage, an offset, a shape and strides");
    const torch::Tensor flat = storage_(storage_id(*a[0], origin_));
    const std::int64_t offset = a[1]->number, room = flat.numel() - offset;
    if (offset < 0 || room < 0) refuse(origin_, name + " starts outside its storage");
    const std::int64_t span = span_of(sizes, strides, room);
    if (span < 0 || span > room)
      refuse(origin_, name + "'s shape and strides leave its storage, or overlap themselves");
    torch::Tensor view = flat.as_strided(sizes, strides, offset);
    const std::uint64_t bytes = view.nbytes();
    if (bytes > left_)
      refuse(origin_, "its tensors take more memory than the file can hold, first at " + name);
    left_ -= bytes;
    return view.contiguous();
  }

 private:
  const StorageReader& storage_;
  std::uint64_t left_;
  const std::string& origin_;
};

bool has_tensors(const PickleValue& mapping) {
  const Pairs pairs = pairs_of(mapping);
  return std::any_of(pairs.begin(), pairs.end(),
                     [](const auto& pair) { return tensor_call(pair.second) != nullptr; });
}

std::string keys_of(const PickleValue& mapping) {
  std::string text;
  for (const auto& [key, value] : pairs_of(mapping)) {
    if (text.size() > 300) return text + ", ...";
    if (key->is(Kind::Text)) text += (text.empty() ? "" : ", ") + key->text;
  }
  return text.empty() ? "nothing" : text;
}

constexpr const char* kUsualParts[] = {"state_dict", "model_state_dict", "network_weights",
                                       "model",      "network",          "net",
                                       "student",    "teacher",          "weights"};

// It, or a usual part of it, holds tensors.
bool leads_to_tensors(const PickleValue* mapping, int depth) {
  if (mapping == nullptr || !is_mapping(*mapping)) return false;
  if (has_tensors(*mapping)) return true;
  return depth > 0 &&
         std::any_of(std::begin(kUsualParts), std::end(kUsualParts), [&](const char* key) {
           return leads_to_tensors(find(*mapping, key), depth - 1);
         });
}

const PickleValue* part_of(const PickleValue& mapping, std::vector<std::string>& notes) {
  for (const char* key : kUsualParts) {
    const PickleValue* found = find(mapping, key);
    if (!leads_to_tensors(found, kMostNested)) continue;
    notes.push_back("taken from the checkpoint's \"" + std::string(key) + "\"; it holds " +
                    keys_of(mapping));
    return found;
  }
  return nullptr;
}

const PickleValue& state_mapping(const PickleValue& root, const std::string& part,
                                 std::vector<std::string>& notes, const std::string& origin) {
  if (!is_mapping(root)) refuse(origin, "it holds no dictionary of tensors");
  const PickleValue* at = &root;
  if (!part.empty()) {
    at = find(root, part);
    if (at == nullptr || !is_mapping(*at))
      refuse(origin, "it has no dictionary \"" + part + "\"; it holds " + keys_of(root));
  }
  // Before tensors of its own: the state of a random generator often stands beside the state dict.
  for (int depth = 0; depth < kMostNested; ++depth) {
    const PickleValue* inner = part_of(*at, notes);
    if (inner == nullptr) break;
    at = inner;
  }
  if (!has_tensors(*at)) refuse(origin, "it holds no state dict; it holds " + keys_of(*at));
  return *at;
}

}  // namespace

PickleRules torch_pickle_rules() {
  return {.allows = [](const std::string& global) {
    return inert_names().contains(global) ||
           std::any_of(std::begin(kStorageTypes), std::end(kStorageTypes),
                       [&](const StorageType& row) { return global == row.name; });
  }};
}

StorageId storage_id(const PickleValue& persistent, const std::string& origin) {
  const PickleValue& id = *persistent.items.at(0);
  if (!id.is(Kind::Tuple) || id.items.size() < 5 || id.items[0]->text != "storage" ||
      !id.items[1]->is(Kind::Global) || !id.items[2]->is(Kind::Text) || !id.items[4]->is(Kind::Int))
    refuse(origin, "a storage's name is not what torch.save writes");
  StorageId out{.key = id.items[2]->text, .elements = id.items[4]->number};
  const auto* type =
      std::find_if(std::begin(kStorageTypes), std::end(kStorageTypes),
                   [&](const StorageType& row) { return id.items[1]->text == row.name; });
  if (type == std::end(kStorageTypes))
    refuse(origin, "storages of type " + id.items[1]->text + " are not read");
  out.type = type->type;
  if (out.elements < 0) refuse(origin, "a storage of negative size");
  if (id.items.size() > 5 && id.items[5]->is(Kind::Tuple)) {
    const auto& view = id.items[5]->items;
    if (view.size() != 3 || !view[1]->is(Kind::Int) || !view[2]->is(Kind::Int))
      refuse(origin, "a storage's view is not what torch.save writes");
    out.from = view[1]->number;
    out.of_view = view[2]->number;
  }
  return out;
}

StateDict state_dict_of(const PickleValue& root, const StorageReader& storage,
                        const std::string& part, std::uint64_t most_bytes,
                        const std::string& origin) {
  StateDict out;
  const PickleValue& mapping = state_mapping(root, part, out.notes, origin);
  Reader reader(storage, most_bytes, origin);
  std::string left_out;
  for (const auto& [key, value] : pairs_of(mapping)) {
    const PickleValue* call = tensor_call(value);
    if (call != nullptr && key->is(Kind::Text))
      out.tensors.insert_or_assign(key->text, reader.tensor(key->text, *call));
    else
      left_out += (left_out.empty() ? "" : ", ") + (key->is(Kind::Text) ? key->text : "(no name)");
  }
  if (!left_out.empty()) out.notes.push_back("left out, no tensors: " + left_out);
  return out;
}

}  // namespace homolog::model
