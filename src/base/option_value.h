// Text <-> value of one option, with strict checks. Used by Options alone.
#pragma once

#include "base/options.h"

namespace homolog::option_value {

// Throws Fault::Usage naming `where`, the key, the text and what would be right.
void assign(const Options::Target& target, const Rule& rule, const std::string& key,
            const std::string& text, const std::string& where);
bool is_bool(const std::string& text);  // true, yes, on, 1 and their opposites
std::string print(const Options::Target& target);
std::string describe(const Rule& rule);  // " (0 to 1)", " (one of: a, b)"

}  // namespace homolog::option_value
