#include "sharding/embed_catalogue.h"

#include "base/error.h"
#include "base/log.h"
#include "base/stop_signal.h"
#include "sharding/import/load.h"
#include "sharding/match/embedding_folder.h"

namespace homolog::shard {

EmbedCounts embed_catalogue(const std::vector<import::CatalogEntry>& entries,
                            match::Embedder& embedder, const std::filesystem::path& folder,
                            const std::function<void()>& advanced) {
  match::make_embedding_folder(folder);
  EmbedCounts counts;
  for (const auto& entry : entries) {
    stop_if_asked("finished embeddings are in " + folder.string(),
                  "run the same command again: it continues");
    const auto file = match::embedding_file(folder, entry.id);
    if (match::is_current(file, embedder.sam_hash(), entry.content_hash)) {
      ++counts.kept;
    } else {
      try {
        match::Embedding e = embedder.embed(import::load_volume(entry));
        e.content_hash = entry.content_hash;
        match::save_embedding(e, file);
        ++counts.made;
      } catch (const Error& fault) {
        if (fault.fault() != Fault::Data) throw;
        counts.left_out.push_back({entry.id, fault.summary()});
        log::warn("volume left out", {{"id", entry.id}, {"reason", fault.summary()}});
      }
    }
    advanced();
  }
  if (counts.made + counts.kept == 0)
    throw Error(Fault::Data, "no volume could be embedded", "see the reasons above");
  return counts;
}

}  // namespace homolog::shard
