#include "sharding/build_part.h"

#include <charconv>

#include "base/error.h"

namespace homolog::shard {

Part part_named(const std::string& text) {
  constexpr std::size_t kMost = 65536;
  Part part;
  const char *begin = text.data(), *end = begin + text.size();
  const auto index = std::from_chars(begin, end, part.index);
  const bool slash = index.ec == std::errc() && index.ptr != end && *index.ptr == '/';
  const auto count =
      slash ? std::from_chars(index.ptr + 1, end, part.count) : std::from_chars_result{};
  if (!slash || count.ec != std::errc() || count.ptr != end || part.count > kMost ||
      part.index >= part.count) {
    throw Error(Fault::Usage, "--part " + text + " is no part of a whole",
                "write i/n with i from 0 to n-1, as in 0/4");
  }
  return part;
}

Part part_within(const Part& outer, std::size_t local, std::size_t each) {
  return {outer.index * each + local, outer.count * each};
}

}  // namespace homolog::shard
