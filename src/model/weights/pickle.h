// Python pickles as plain data. A pickle is a program: this reader builds its lists, numbers and
// texts, and never calls what it names. A call stays a note of what would be called with what, and
// a name that the caller does not know ends the reading.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace homolog::model {

struct PickleValue {
  enum class Kind : std::uint8_t {
    None,
    Bool,       // number
    Int,        // number
    Float,      // real
    Big,        // an integer beyond 64 bits; text: its bytes, little-endian, or digits
    Text,       // text
    Bytes,      // text
    List,       // items
    Tuple,      // items
    Set,        // items
    Dict,       // pairs
    Global,     // text: "module.name", not looked up
    Call,       // text: "module.name" that Python would call, items: the arguments, not called;
                // pairs and state: what Python would add to the result
    Persistent  // items[0]: what a stream of its own would give
  };
  Kind kind = Kind::None;
  std::int64_t number = 0;
  double real = 0;
  std::string text;
  std::vector<PickleValue*> items;
  std::vector<std::pair<PickleValue*, PickleValue*>> pairs;
  PickleValue* state = nullptr;

  bool is(Kind k) const { return kind == k; }
  bool is_call(std::string_view name) const { return kind == Kind::Call && text == name; }
  // The value under a text key; nullptr: none.
  const PickleValue* find(std::string_view key) const;
};

// Owns its values, which may refer to each other in circles.
struct Pickle {
  std::deque<PickleValue> values;
  const PickleValue* root = nullptr;
  std::size_t bytes = 0;  // read, the final '.' included
};

// What one file may not do.
struct PickleRules {
  std::function<bool(const std::string& global)> allows;  // "module.name"
  // What a refused name stands for, where it is known and harmless: "a sparse tensor"; else "".
  std::function<std::string(const std::string& global)> kind = {};
  std::size_t most_values = 2'000'000;  // made and recalled; some 120 bytes each
};

// Reads one pickle (protocols 0 to 5) from the start of `data`; more may follow it. Throws
// Fault::Data, naming `origin` and the offset: cut off, malformed, a name that the rules refuse
// ("this pickle would run os.system"), an extension or out-of-band buffer, too many values.
Pickle read_pickle(std::string_view data, const PickleRules& rules, const std::string& origin);

}  // namespace homolog::model
