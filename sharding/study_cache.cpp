// Least-recently-used list; shared pointers keep what is in use alive beyond it.
// Memory is bounded by capacity volumes and as many embeddings.
#include "sharding/study_cache.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "base/log.h"
#include "sharding/import/load.h"
#include "sharding/match/embedding_folder.h"
#include "sharding/match/similarity.h"

namespace homolog::shard {

StudyCache::StudyCache(const std::vector<import::CatalogEntry>& entries, match::Embedder& embedder,
                       std::filesystem::path embeddings, match::Mode mode, std::size_t capacity,
                       std::int64_t neighbours)
    : entries_(entries),
      embedder_(embedder),
      folder_(std::move(embeddings)),
      mode_(mode),
      neighbours_(neighbours),
      capacity_(capacity) {}

StudyCache::Held& StudyCache::hold(std::size_t study) {
  for (auto it = held_.begin(); it != held_.end(); ++it) {
    if (it->study != study) continue;
    held_.splice(held_.begin(), held_, it);
    return held_.front();
  }
  while (held_.size() >= capacity_) held_.pop_back();
  held_.push_front(
      {study, std::make_shared<const Volume>(import::load_volume(entries_[study])), nullptr});
  return held_.front();
}

std::shared_ptr<const Volume> StudyCache::volume(std::size_t study) { return hold(study).volume; }

// Nothing where the file is missing, damaged or of another volume: it is made anew then.
std::optional<match::Embedding> StudyCache::stored(const std::filesystem::path& file,
                                                   const Held& held) const {
  if (folder_.empty() || !std::filesystem::exists(file)) return std::nullopt;
  try {
    auto loaded = match::load_embedding(file);
    if (loaded.sam_hash != embedder_.sam_hash()) {
      throw Error(Fault::Usage,
                  file.string() + " was made with other SAM weights (" + loaded.sam_hash +
                      ") than --sam (" + embedder_.sam_hash() + ")",
                  "give the weights it was made with, or another --embeddings folder");
    }
    const bool same_voxels = loaded.content_hash.empty()
                                 ? loaded.volume_grid == held.volume->grid
                                 : loaded.content_hash == entries_[held.study].content_hash;
    if (same_voxels) return loaded;
    log::warn("embedding of other voxels made anew", {{"file", file}});
  } catch (const Error& fault) {
    if (fault.fault() != Fault::Data) throw;
    log::warn("damaged embedding made anew", {{"file", file}, {"reason", fault.summary()}});
  }
  return std::nullopt;
}

std::shared_ptr<const match::Embedding> StudyCache::embedding(std::size_t study) {
  Held& held = hold(study);
  if (held.embedding) return held.embedding;
  const auto file = folder_.empty() ? folder_ : match::embedding_file(folder_, entries_[study].id);
  auto found = stored(file, held);
  if (!found) {
    found = embedder_.embed(*held.volume);
    found->content_hash = entries_[study].content_hash;
    if (!folder_.empty()) match::save_embedding(*found, file);
  }
  held.embedding = std::make_shared<const match::Embedding>(std::move(*found));
  return held.embedding;
}

std::vector<match::Match> StudyCache::match(std::size_t from, std::size_t to,
                                            const std::vector<Point3>& points) {
  const auto query = embedding(from), key = embedding(to);
  return match::match_points(*query, *key, points, mode_, neighbours_);
}

std::vector<double> StudyCache::similarity(std::size_t from, const std::vector<Point3>& a,
                                           std::size_t to, const std::vector<Point3>& b) {
  const auto first = embedding(from), second = embedding(to);
  const auto u = match::query_vectors(*first, a, mode_),
             v = match::query_vectors(*second, b, mode_);
  const at::Tensor sum_P = ((u.fine_PC * v.fine_PC).sum(1) + (u.coarse_PC * v.coarse_PC).sum(1))
                               .mul(0.5)
                               .to(at::kDouble)
                               .contiguous();
  return {sum_P.data_ptr<double>(), sum_P.data_ptr<double>() + sum_P.numel()};
}

}  // namespace homolog::shard
