#include "model/weights/torch_file.h"

#include <torch/utils.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <functional>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "model/weights/file_kind.h"
#include "model/weights/swin_unetr_names.h"
#include "model/weights/torch_pickle.h"
#include "model/weights/zip_archive.h"

namespace homolog::model {
namespace {

namespace fs = std::filesystem;
using Kind = PickleValue::Kind;

// What torch.save without a zip begins with: 0x1950a86a20f9469cfc6c, little-endian.
constexpr std::string_view kLegacyMagic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
constexpr std::string_view kLegacyDigits("L119547037146038801333356L\n");  // in protocol 1
constexpr std::int64_t kLegacyProtocol = 1001;
constexpr std::uint64_t kLargestPickle = 256ULL << 20U;
constexpr std::uint64_t kMostCopies = 4;  // of the file's bytes: tensors may share storages

[[noreturn]] void refuse(const fs::path& file, const std::string& why) {
  throw Error(Fault::Data, file.string() + " is not a usable torch file: " + why,
              "copy it again, in full, or save its state dict once more");
}

// Each storage is read once, as the type that the first tensor over it has.
class StorageCache {
 public:
  using Load = std::function<torch::Tensor(const StorageId&)>;
  StorageCache(Load load, fs::path file) : load_(std::move(load)), file_(std::move(file)) {}
  torch::Tensor operator()(const StorageId& id) {
    auto found = read_.find(id.key);
    if (found == read_.end()) found = read_.emplace(id.key, load_(id)).first;
    const torch::Tensor& flat = found->second;
    if (flat.scalar_type() != id.type || flat.numel() != id.elements)
      refuse(file_, "the storage " + id.key + " is of two types or sizes");
    if (id.of_view < 0) return flat;
    if (id.from < 0 || id.from > flat.numel() || id.of_view > flat.numel() - id.from)
      refuse(file_, "a view leaves the storage " + id.key);
    return flat.narrow(0, id.from, id.of_view);
  }

 private:
  Load load_;
  fs::path file_;
  std::map<std::string, torch::Tensor> read_;
};

StateDict read_zip(const fs::path& file, const std::string& part) {
  const ZipArchive archive(file);
  std::string root;
  for (const auto& [name, record] : archive.records()) {
    if (!name.ends_with("/data.pkl")) continue;
    if (!root.empty()) refuse(file, "it holds two pickles");
    root = name.substr(0, name.size() - 8);
    if (record.bytes > kLargestPickle) refuse(file, name + " is larger than 256 MiB");
  }
  if (root.empty()) refuse(file, "it is a ZIP file, but not torch.save's: it has no data.pkl");
  if (archive.records().contains(root + "byteorder") &&
      archive.read(root + "byteorder") != "little")
    refuse(file, "its numbers are big-endian");
  const Pickle pickle =
      read_pickle(archive.read(root + "data.pkl"), torch_pickle_rules(), file.string());
  StorageCache storages(
      [&](const StorageId& id) {
        const std::string name = root + "data/" + id.key;
        const auto found = archive.records().find(name);
        if (found == archive.records().end()) refuse(file, "the record " + name + " is missing");
        const std::uint64_t each = c10::elementSize(id.type);
        if (found->second.bytes / each != static_cast<std::uint64_t>(id.elements) ||
            found->second.bytes % each != 0)
          refuse(file, name + " has " + std::to_string(found->second.bytes) + " bytes, not " +
                           std::to_string(id.elements) + " numbers");
        torch::Tensor flat = torch::empty({id.elements}, id.type);
        archive.read(name, static_cast<char*>(flat.data_ptr()));
        return flat;
      },
      file);
  return state_dict_of(*pickle.root, std::ref(storages), part, kMostCopies * fs::file_size(file),
                       file.string());
}

// The legacy container: pickles of a magic number, a protocol, the machine, the object and the
// storages' keys, one behind the other; then each storage, its number of elements before it.
class LegacyFile {
 public:
  explicit LegacyFile(const fs::path& file) : file_(file), bytes_(fs::file_size(file)) {
    std::ifstream in(file, std::ios::binary);
    all_.resize(bytes_);
    if (!in.read(all_.data(), static_cast<std::streamsize>(bytes_)))
      refuse(file, "it cannot be read");
  }

  StateDict read(const std::string& part) {
    next();  // the magic number, seen before
    const Pickle protocol = next();
    if (!protocol.root->is(Kind::Int) || protocol.root->number != kLegacyProtocol)
      refuse(file_, "its format is not the one of torch.save");
    const Pickle machine = next();
    const PickleValue* little = machine.root->find("little_endian");
    if (little == nullptr || !little->is(Kind::Bool) || little->number != 1)
      refuse(file_, "its numbers are big-endian");
    const Pickle object = next();
    const Pickle keys = next();
    find_sizes(object);
    read_storages(keys);
    StorageCache storages(
        [&](const StorageId& id) {
          const auto found = storages_.find(id.key);
          if (found == storages_.end()) refuse(file_, "the storage " + id.key + " is missing");
          return found->second;
        },
        file_);
    return state_dict_of(*object.root, std::ref(storages), part, kMostCopies * bytes_,
                         file_.string());
  }

 private:
  Pickle next() {
    Pickle out = read_pickle(std::string_view(all_).substr(at_), torch_pickle_rules(),
                             file_.string() + " from byte " + std::to_string(at_));
    at_ += out.bytes;
    return out;
  }
  void find_sizes(const Pickle& object) {
    for (const PickleValue& value : object.values) {
      if (!value.is(Kind::Persistent)) continue;
      const StorageId id = storage_id(value, file_.string());
      ids_.emplace(id.key, id);
    }
  }
  void read_storages(const Pickle& keys) {
    for (const PickleValue* key : keys.root->items) {
      const auto id = ids_.find(key->text);
      if (id == ids_.end()) refuse(file_, "it holds a storage that nothing names");
      if (bytes_ - at_ < 8) cut_off(key->text);
      std::int64_t elements = 0;
      std::memcpy(&elements, all_.data() + at_, 8);
      at_ += 8;
      const std::uint64_t each = c10::elementSize(id->second.type);
      if (elements != id->second.elements) refuse(file_, "the storage " + key->text + "'s size");
      if (static_cast<std::uint64_t>(elements) > (bytes_ - at_) / each) cut_off(key->text);
      torch::Tensor flat = torch::empty({elements}, id->second.type);
      std::memcpy(flat.data_ptr(), all_.data() + at_, flat.nbytes());
      at_ += flat.nbytes();
      if (!storages_.emplace(key->text, flat).second) refuse(file_, "a storage comes twice");
    }
  }
  [[noreturn]] void cut_off(const std::string& key) const {
    refuse(file_, "it is cut off: the storage " + key + " starts at byte " + std::to_string(at_) +
                      " and needs more than its " + std::to_string(bytes_) + " bytes");
  }

  fs::path file_;
  std::uint64_t bytes_, at_ = 0;
  std::string all_;
  std::map<std::string, StorageId> ids_;
  std::map<std::string, torch::Tensor> storages_;
};

// Files of homolog bear the hash of their tensors; the format itself has none.
void check_hash(const WeightsFile& weights, const fs::path& file) {
  const auto stated = weights.metadata.find("weights_xxh3");
  if (stated == weights.metadata.end() || stated->second == hex64(weights_hash(weights.tensors)))
    return;
  throw Error(
      Fault::Data,
      file.string() + " is damaged: its tensors do not have the weights_xxh3 in its metadata",
      "copy it again, in full; where the change was meant, save it without that metadata");
}

bool share_prefix(const std::map<std::string, torch::Tensor>& tensors, const std::string& prefix) {
  return std::all_of(tensors.begin(), tensors.end(), [&](const auto& item) {
    return item.first.size() > prefix.size() && item.first.starts_with(prefix);
  });
}

}  // namespace

void strip_shared_prefixes(std::map<std::string, torch::Tensor>& tensors,
                           std::vector<std::string>& notes) {
  static const std::set<std::string> usual = {"module.",  "backbone.", "_orig_mod.", "model.",
                                              "network.", "student.",  "teacher."};
  while (!tensors.empty()) {
    const std::string& first = tensors.begin()->first;
    const std::string prefix = first.substr(0, first.find('.') + 1);
    if (!usual.contains(prefix) || !share_prefix(tensors, prefix)) return;
    std::map<std::string, torch::Tensor> shorter;
    for (const auto& [name, tensor] : tensors) shorter.emplace(name.substr(prefix.size()), tensor);
    tensors = std::move(shorter);
    notes.push_back("the prefix \"" + prefix + "\", which all names have, is taken off");
  }
}

ForeignWeights read_foreign_weights(const fs::path& file, const std::string& part) {
  const std::string head = first_bytes(file, 64);
  refuse_other_kinds(file, head);
  ForeignWeights out;
  const bool zip = head.starts_with("PK\x03\x04"),
             pickle = head.starts_with('\x80') || head.starts_with(kLegacyDigits);
  if (pickle && head.find(kLegacyMagic) == std::string::npos && !head.starts_with(kLegacyDigits)) {
    const std::string all = first_bytes(file, std::min(fs::file_size(file), kLargestPickle));
    read_pickle(all, torch_pickle_rules(), file.string());  // says what it would run
    refuse(file, "it is a pickle, but not torch.save's");
  }
  if (zip || pickle) {
    StateDict read = zip ? read_zip(file, part) : LegacyFile(file).read(part);
    out.container = zip ? "torch zip" : "torch legacy";
    out.weights.tensors = std::move(read.tensors);
    out.notes = std::move(read.notes);
  } else {
    out.container = "safetensors";
    if (!part.empty())
      throw Error(Fault::Usage, file.string() + " is a safetensors file, which has no parts",
                  "leave --part out");
    out.weights = read_weights(file);
    check_hash(out.weights, file);
  }
  strip_shared_prefixes(out.weights.tensors, out.notes);
  swin::rename_pretraining(out.weights.tensors, out.left_out, out.notes);
  return out;
}

}  // namespace homolog::model
