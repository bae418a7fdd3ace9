// Studies from a catalogue: volumes and embeddings loaded when asked for, the least recent dropped.
// Embeddings come from a folder where it has them, else from SAM (and then go to that folder).
#pragma once

#include <filesystem>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include "sharding/import/catalog.h"
#include "sharding/match/embedder.h"
#include "sharding/studies.h"

namespace homolog::shard {

class StudyCache : public Studies {
 public:
  // `entries` and `embedder` are held by reference. `embeddings` may be empty. Throws Fault::Usage
  // when a stored embedding is of other weights.
  StudyCache(const std::vector<import::CatalogEntry>& entries, match::Embedder& embedder,
             std::filesystem::path embeddings, match::Mode mode, std::size_t capacity,
             std::int64_t neighbours = 0);
  void check(std::size_t study) override { embedding(study); }
  std::shared_ptr<const Volume> volume(std::size_t study) override;
  std::vector<match::Match> match(std::size_t from, std::size_t to,
                                  const std::vector<Point3>& points) override;
  std::vector<double> similarity(std::size_t from, const std::vector<Point3>& a, std::size_t to,
                                 const std::vector<Point3>& b) override;

 private:
  struct Held {
    std::size_t study;
    std::shared_ptr<const Volume> volume;
    std::shared_ptr<const match::Embedding> embedding;  // once asked for
  };
  Held& hold(std::size_t study);
  std::shared_ptr<const match::Embedding> embedding(std::size_t study);
  std::optional<match::Embedding> stored(const std::filesystem::path& file, const Held& held) const;

  const std::vector<import::CatalogEntry>& entries_;
  match::Embedder& embedder_;
  std::filesystem::path folder_;
  match::Mode mode_;
  std::int64_t neighbours_;  // of match::match_points
  std::size_t capacity_;
  std::list<Held> held_;  // most recent first
};

}  // namespace homolog::shard
