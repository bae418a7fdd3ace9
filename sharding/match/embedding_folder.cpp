#include "sharding/match/embedding_folder.h"

#include "base/error.h"
#include "sharding/match/embedding.h"

namespace homolog::match {

std::filesystem::path embedding_file(const std::filesystem::path& folder,
                                     const std::string& volume_id) {
  return folder / (volume_id + ".safetensors");
}

void make_embedding_folder(const std::filesystem::path& folder) {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  if (code)
    throw Error(Fault::Environment,
                "cannot create the folder of embeddings " + folder.string() + ": " + code.message(),
                "name one that is there or can be written");
}

bool is_current(const std::filesystem::path& file, const std::string& sam_hash,
                const std::string& content_hash) {
  if (!std::filesystem::exists(file)) return false;
  try {
    const Embedding e = load_embedding(file);
    return e.sam_hash == sam_hash && e.content_hash == content_hash;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace homolog::match
