// The secret key of a catalogue's pseudonyms, kept in a file beside it. It stays with the hospital:
// it alone could tie a pseudonym back to a series.
#pragma once

#include <filesystem>
#include <string>

namespace homolog::import {

// The key in `file`, which is made when missing, readable by its owner alone. Of several that make
// it at once, one does, and all get its key. Throws Fault::Data: no key in it; Fault::Environment:
// it cannot be written.
std::string read_or_make_key(const std::filesystem::path& file);

}  // namespace homolog::import
