// bench_order PAIRS BATCH BLOCK MIXED: how well an order with locality shuffles, beside the order
// over the whole store. Prints one JSON object:
//   spread    how far apart in the store the pairs of a batch lie: standard deviation of their
//             indices over that of the whole store, mean over batches; 1: nothing is near
//   together  share of the couples of a batch that are in one batch again in the next epoch, over
//   the
//             share that chance gives; 1: nothing is kept
//   ranges    ranges of neighbours that a hundred batches in a row read, a hundred pairs; the
//   fewer,
//             the less the disk seeks
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "data/pair_order.h"

namespace {

using homolog::data::Locality;
using homolog::data::PairOrder;
using Indices = std::vector<std::uint64_t>;

Indices epoch_of(std::uint64_t pairs, std::uint64_t epoch, const Locality& locality) {
  const PairOrder order(pairs, 123, epoch, locality);
  Indices indices(pairs);
  for (std::uint64_t i = 0; i < pairs; ++i) indices[i] = order.at(i);
  return indices;
}

double spread(const Indices& indices, std::uint64_t batch) {
  double sum = 0;
  const std::uint64_t batches = indices.size() / batch;
  for (std::uint64_t b = 0; b < batches; ++b) {
    double mean = 0, square = 0;
    for (std::uint64_t i = b * batch; i < (b + 1) * batch; ++i) {
      const double at = static_cast<double>(indices[i]) / static_cast<double>(indices.size());
      mean += at / static_cast<double>(batch);
      square += at * at / static_cast<double>(batch);
    }
    sum += std::sqrt(std::max(0.0, square - mean * mean) * 12);
  }
  return sum / static_cast<double>(batches);
}

double together(const Indices& first, const Indices& second, std::uint64_t batch) {
  Indices batch_in_second(first.size());
  for (std::uint64_t i = 0; i < second.size(); ++i) batch_in_second[second[i]] = i / batch;
  double same = 0, couples = 0;
  for (std::uint64_t b = 0; b + 1 < first.size() / batch; ++b) {
    for (std::uint64_t i = b * batch; i < (b + 1) * batch; ++i) {
      for (std::uint64_t j = i + 1; j < (b + 1) * batch; ++j, ++couples)
        same += batch_in_second[first[i]] == batch_in_second[first[j]];
    }
  }
  return same / couples * static_cast<double>(first.size()) / static_cast<double>(batch - 1);
}

double ranges(const Indices& indices, std::uint64_t batch) {
  const std::uint64_t span = std::min<std::uint64_t>(100 * batch, indices.size());
  double count = 0, pairs = 0;
  for (std::uint64_t from = 0; from + span <= indices.size(); from += span) {
    const auto at = indices.begin() + static_cast<std::ptrdiff_t>(from);
    Indices read(at, at + static_cast<std::ptrdiff_t>(span));
    std::sort(read.begin(), read.end());
    for (std::size_t i = 0; i < read.size(); ++i) count += i == 0 || read[i] != read[i - 1] + 1;
    pairs += static_cast<double>(span);
  }
  return 100 * count / pairs;
}

nlohmann::json quality(std::uint64_t pairs, std::uint64_t batch, const Locality& locality) {
  const Indices first = epoch_of(pairs, 0, locality), second = epoch_of(pairs, 1, locality);
  return {{"spread", spread(first, batch)},
          {"together", together(first, second, batch)},
          {"ranges", ranges(first, batch)}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: bench_order PAIRS BATCH BLOCK MIXED\n");
    return 2;
  }
  const auto number = [&](int i) { return std::strtoull(argv[i], nullptr, 10); };
  const nlohmann::json out{{"local", quality(number(1), number(2), {number(3), number(4)})},
                           {"whole", quality(number(1), number(2), {})}};
  std::printf("%s\n", out.dump().c_str());
  return 0;
}
