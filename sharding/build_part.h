// Which of the processes that share a build this one is.
#pragma once

#include <cstddef>
#include <string>

namespace homolog::shard {

struct Part {
  std::size_t index = 0, count = 1;  // index < count
  bool operator==(const Part&) const = default;
};

// "2/4": the third of four. Throws Fault::Usage.
Part part_named(const std::string& text);

// Part `local` of the `each` processes that part `outer` stands for.
Part part_within(const Part& outer, std::size_t local, std::size_t each);

}  // namespace homolog::shard
