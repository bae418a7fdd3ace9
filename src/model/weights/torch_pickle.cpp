#include "model/weights/torch_pickle.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "model/weights/file_words.h"
#include "model/weights/inert_names.h"

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

[[noreturn]] void refuse(
    const std::string& origin, const std::string& why,
    const std::string& remedy = "save the state dict alone: torch.save(model.state_dict(), FILE)") {
  throw Error(Fault::Data, origin + " is not a usable torch file: " + why, remedy);
}

bool is_mapping(const PickleValue& v) {
  return v.is(Kind::Dict) || v.is_call("collections.OrderedDict") ||
         v.is_call("collections.defaultdict");
}

// Python 2 wrote an OrderedDict as a call with a list of pairs.
template <class Each>
void for_each_pair(const PickleValue& mapping, const Each& each) {
  for (const auto& [key, value] : mapping.pairs) each(*key, *value);
  if (mapping.items.size() != 1 || !mapping.items[0]->is(Kind::List)) return;
  for (const PickleValue* pair : mapping.items[0]->items)
    if (pair->items.size() == 2) each(*pair->items[0], *pair->items[1]);
}

const PickleValue* find(const PickleValue& mapping, const std::string& key) {
  const PickleValue* found = nullptr;  // the last one counts, as in Python
  for_each_pair(mapping, [&](const PickleValue& k, const PickleValue& value) {
    if (k.is(Kind::Text) && k.text == key) found = &value;
  });
  return found;
}

bool rebuilds_tensor(const PickleValue& v) {
  return v.text == "torch._utils._rebuild_tensor_v2" || v.text == "torch._utils._rebuild_tensor";
}

// What a tensor is rebuilt from (storage, offset, shape, strides, ...), out of a parameter or a
// subclass where it is one; nullptr: no tensor.
const PickleValue* tensor_arguments(const PickleValue* v) {
  const bool parameter = v->is_call("torch._utils._rebuild_parameter") ||
                         v->is_call("torch._utils._rebuild_parameter_with_state");
  if (parameter && !v->items.empty()) v = v->items[0];
  if (v->is_call("torch._tensor._rebuild_from_type_v2") && v->items.size() > 2 &&
      v->items[0]->is(Kind::Global) && rebuilds_tensor(*v->items[0]) &&
      v->items[2]->is(Kind::Tuple))
    return v->items[2];
  return v->is(Kind::Call) && rebuilds_tensor(*v) ? v : nullptr;
}

bool read_sizes(const PickleValue& value, std::vector<std::int64_t>& out) {
  // torch.Size may be written as a call with one tuple.
  const bool call = value.is_call("torch.Size") && value.items.size() == 1;
  const PickleValue& v = call ? *value.items[0] : value;
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

  torch::Tensor tensor(const std::string& name, const PickleValue& arguments) {
    std::vector<std::int64_t> sizes, strides;
    const auto& a = arguments.items;
    if (a.size() < 4 || !a[0]->is(Kind::Persistent) || !a[1]->is(Kind::Int) ||
        !read_sizes(*a[2], sizes) || !read_sizes(*a[3], strides) || sizes.size() != strides.size())
      refuse(origin_, name + " is no tensor of a storage, an offset, a shape and strides");
    if (!elements_of(sizes))
      refuse(origin_, name + " has a shape of no tensor here: at most 8 axes, 2^40 numbers");
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
  bool found = false;
  for_each_pair(mapping, [&](const PickleValue&, const PickleValue& value) {
    found = found || tensor_arguments(&value) != nullptr;
  });
  return found;
}

// "epoch, optimizer, ...", or "nothing".
class KeyList {
 public:
  void add(const PickleValue& key) {
    constexpr std::size_t kLongest = 300;
    if (text_.size() > kLongest)
      more_ = true;
    else
      text_ += (text_.empty() ? "" : ", ") +
               (key.is(Kind::Text) ? printable(key.text) : std::string("(no name)"));
  }
  bool empty() const { return text_.empty(); }
  std::string text() const { return text_.empty() ? "nothing" : text_ + (more_ ? ", ..." : ""); }

 private:
  std::string text_;
  bool more_ = false;
};

std::string keys_of(const PickleValue& mapping) {
  KeyList keys;
  for_each_pair(mapping, [&](const PickleValue& key, const PickleValue&) { keys.add(key); });
  return keys.text();
}

constexpr const char* kUsualParts[] = {"state_dict", "model_state_dict", "network_weights",
                                       "model",      "network",          "net",
                                       "student",    "teacher",          "weights"};

// It, or a usual part of it, holds tensors. `seen`: what was looked at, as dicts may hold
// themselves.
bool leads_to_tensors(const PickleValue* mapping, int depth, std::set<const PickleValue*>& seen) {
  if (mapping == nullptr || !is_mapping(*mapping) || !seen.insert(mapping).second) return false;
  if (has_tensors(*mapping)) return true;
  return depth > 0 &&
         std::any_of(std::begin(kUsualParts), std::end(kUsualParts), [&](const char* key) {
           return leads_to_tensors(find(*mapping, key), depth - 1, seen);
         });
}

const PickleValue* part_of(const PickleValue& mapping, std::vector<std::string>& notes) {
  std::set<const PickleValue*> seen{&mapping};
  for (const char* key : kUsualParts) {
    const PickleValue* found = find(mapping, key);
    if (!leads_to_tensors(found, kMostNested, seen)) continue;
    notes.push_back("taken from the checkpoint's \"" + std::string(key) + "\"; it holds " +
                    keys_of(mapping) + "; homolog import --part KEY takes another");
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
      refuse(origin, "it has no dictionary \"" + printable(part) + "\"; it holds " + keys_of(root),
             "give --part one of these keys, one that holds a state dict");
  }
  // Before tensors of its own: the state of a random generator often stands beside the state dict.
  for (int depth = 0; depth < kMostNested; ++depth) {
    const PickleValue* inner = part_of(*at, notes);
    if (inner == nullptr) break;
    at = inner;
  }
  if (!has_tensors(*at))
    refuse(origin, "it holds no state dict; it holds " + keys_of(*at),
           "homolog import --part KEY takes the state dict under another key; or save it alone: "
           "torch.save(model.state_dict(), FILE)");
  return *at;
}

}  // namespace

PickleRules torch_pickle_rules() {
  return {.allows =
              [](const std::string& global) {
                return is_inert(global) ||
                       std::any_of(std::begin(kStorageTypes), std::end(kStorageTypes),
                                   [&](const StorageType& row) { return global == row.name; });
              },
          .kind = unsupported_tensor};
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
    refuse(origin, "storages of type " + printable(id.items[1]->text) + " are not read");
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
  KeyList left_out;
  for_each_pair(mapping, [&](const PickleValue& key, const PickleValue& value) {
    const PickleValue* arguments = tensor_arguments(&value);
    if (arguments == nullptr || !key.is(Kind::Text)) return left_out.add(key);
    if (!is_name(key.text)) refuse(origin, "a tensor's name is no text: " + printable(key.text));
    out.tensors.insert_or_assign(key.text, reader.tensor(key.text, *arguments));
  });
  if (!left_out.empty()) out.notes.push_back("left out, no tensors: " + left_out.text());
  return out;
}

}  // namespace homolog::model
