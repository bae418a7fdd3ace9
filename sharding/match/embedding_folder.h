// A folder of embeddings, one file a volume, named by the volume's pseudonym.
#pragma once

#include <filesystem>
#include <string>

namespace homolog::match {

std::filesystem::path embedding_file(const std::filesystem::path& folder,
                                     const std::string& volume_id);

// Makes the folder where it is not there. Throws Fault::Environment.
void make_embedding_folder(const std::filesystem::path& folder);

// Whether a whole embedding of these weights and this content is there (its checksum is verified).
// A broken or outdated file counts as absent.
bool is_current(const std::filesystem::path& file, const std::string& sam_hash,
                const std::string& content_hash);

}  // namespace homolog::match
