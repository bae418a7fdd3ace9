// bench_stream STORE --mode MODE: how fast training's stream hands over the pairs of a store, one
// decoding thread, checksums on. The consumer looks at a number here and there, as a peer's does.
//   pairs   batches as they come: integers of the window
//   float   and turned into float32 in [0, 1]
//   codec   peer: the same chunks decoded by Blosc from memory, nothing read, nothing checked
//   copy    limit: as many decoded bytes copied from memory into as many batches
//   step    a training step of a small network on each batch, and on one that stays in memory, in
//           turns
// Prints one JSON object; each list has an entry a pass, the first of which finds what the disk and
// the page cache hold.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/error.h"
#include "base/options.h"
#include "base/run_main.h"
#include "data/pair_stream.h"
#include "data/to_network.h"
#include "model/build_backbone.h"
#include "sharding/store/codec.h"
#include "sharding/store/pair_store.h"

namespace {

using namespace homolog;
using nlohmann::json;

struct Arguments {
  std::vector<std::string> words;
  std::string mode = "pairs", backbone = "resnet";
  std::int64_t passes = 3, batch = 2;
  int ahead = 4;
  bool pass_page_cache = false;
};

bool glance(const at::Tensor& batch_BDHW) {
  return batch_BDHW.view({-1}).slice(0, 0, c10::nullopt, 65536).sum().item<double>() > 0;
}

// A few slices at a time, so that they are still in the cache when they are scaled.
void to_unit(const at::Tensor& stored_BDHW, at::Tensor& unit_BDHW, float scale) {
  constexpr std::int64_t kSlices = 8;
  for (std::int64_t b = 0; b < stored_BDHW.size(0); ++b) {
    const at::Tensor from_DHW = stored_BDHW[b], to_DHW = unit_BDHW[b];
    for (std::int64_t z = 0; z < from_DHW.size(0); z += kSlices) {
      const std::int64_t count = std::min(kSlices, from_DHW.size(0) - z);
      to_DHW.narrow(0, z, count).copy_(from_DHW.narrow(0, z, count)).mul_(scale);
    }
  }
}

data::PairStream open(const Arguments& a) {
  data::PairStreamPlan plan;
  plan.store = a.words.at(0);
  plan.batch = a.batch;
  plan.ahead = a.ahead;
  if (a.pass_page_cache) plan.cached_bytes = 0;
  return {plan, {}};
}

json stream(const Arguments& a, bool floats) {
  Stopwatch watch;
  data::PairStream pairs = open(a);
  const double open_s = watch.lap();
  json out{{"open_s", open_s}, {"pairs_per_s", json::array()}};
  const float scale = 1.0F / static_cast<float>(pairs.window_high_hu() - pairs.window_low_hu());
  const auto crop = pairs.crop_xyz();
  at::Tensor query_BDHW = at::empty({a.batch, crop[2], crop[1], crop[0]}, at::kFloat),
             key_BDHW = at::empty_like(query_BDHW);
  std::int64_t seen = 0;
  for (std::int64_t pass = 0; pass < a.passes; ++pass) {
    const double before_s = watch.seconds();
    for (std::int64_t step = 0; step < pairs.steps_per_epoch(); ++step) {
      const data::PairBatch batch = pairs.next();
      if (pass == 0 && step == 0) out["first_batch_s"] = watch.seconds() - before_s;
      if (floats) {
        to_unit(batch.query_BDHW, query_BDHW, scale);
        to_unit(batch.key_BDHW, key_BDHW, scale);
      }
      seen += glance(floats ? query_BDHW : batch.query_BDHW);
      seen += glance(floats ? key_BDHW : batch.key_BDHW);
    }
    out["pairs_per_s"].push_back(static_cast<double>(pairs.steps_per_epoch() * a.batch) /
                                 (watch.seconds() - before_s));
  }
  out["seen"] = seen;
  return out;
}

json codec(const Arguments& a) {
  const store::PairStore pairs({a.words.at(0), "train"});
  std::vector<std::vector<std::byte>> chunks;
  std::vector<std::byte> crop(static_cast<std::size_t>(pairs.header().bytes()));
  store::PackedCrop packed;
  for (std::int64_t i = 0; i < pairs.pairs(); ++i) {
    const auto place = pairs.at(i);
    for (const std::uint32_t row : {place.pair.query, place.pair.key}) {
      place.shard->read_stored(row, crop, packed);
      chunks.emplace_back(packed.bytes().begin(), packed.bytes().end());
    }
  }
  json out{{"pairs_per_s", json::array()}};
  for (std::int64_t pass = 0; pass < a.passes; ++pass) {
    Stopwatch watch;
    for (const auto& chunk : chunks) {
      if (!store::decompress(chunk, crop)) throw Error(Fault::Data, "a chunk cannot be decoded");
    }
    out["pairs_per_s"].push_back(static_cast<double>(pairs.pairs()) / watch.lap());
  }
  return out;
}

json copy(const Arguments& a) {
  const store::PairStore pairs({a.words.at(0), "train"});
  const std::int64_t bytes = 2 * pairs.header().voxels() * 2;  // of a pair
  const at::Tensor from = at::full({pairs.pairs(), bytes}, 7, at::kByte);
  at::Tensor to = at::zeros({(a.ahead + 1) * a.batch, bytes}, at::kByte);
  json out{{"pairs_per_s", json::array()}};
  for (std::int64_t pass = 0; pass < a.passes; ++pass) {
    Stopwatch watch;
    for (std::int64_t i = 0; i < pairs.pairs(); ++i)
      std::memcpy(to[i % to.size(0)].data_ptr(), from[i].data_ptr(),
                  static_cast<std::size_t>(bytes));
    out["pairs_per_s"].push_back(static_cast<double>(pairs.pairs()) / watch.lap());
  }
  return out;
}

double train(backbone::Backbone& network, const data::PairBatch& batch, int width) {
  Stopwatch watch;
  for (const at::Tensor& side_BDHW : {batch.query_BDHW, batch.key_BDHW}) {
    network.run({.image_B1XYZ = data::to_network(side_BDHW, width)}, {false, false})
        .cls_BC.square()
        .mean()
        .backward();
  }
  network.zero_grad();
  return watch.lap();
}

json step(const Arguments& a) {
  data::PairStream pairs = open(a);
  const int width = pairs.window_high_hu() - pairs.window_low_hu();
  const auto crop = pairs.crop_xyz();
  const auto built = backbone::build(backbone::find(a.backbone), {}, {crop[0], crop[1], crop[2]});
  const data::PairBatch resident = pairs.next();
  train(*built.network, resident, width);
  json out{{"streamed_s", json::array()}, {"resident_s", json::array()}};
  for (std::int64_t pass = 0; pass < a.passes; ++pass) {
    Stopwatch watch;
    train(*built.network, pairs.next(), width);
    out["streamed_s"].push_back(watch.lap());  // waiting for the batch included
    out["resident_s"].push_back(train(*built.network, resident, width));
  }
  return out;
}

int body(int argc, char** argv) {
  Arguments a;
  Options options("bench_stream", "STORE --mode MODE", "Pairs a second of training's stream.");
  options.positional("STORE", a.words, "pair store");
  options.add("mode", a.mode, "what is measured",
              {.choices = {"pairs", "float", "codec", "copy", "step"}});
  options.add("passes", a.passes, "over the store, or steps", {.min = 1});
  options.add("batch", a.batch, "pairs", {.min = 1});
  options.add("ahead", a.ahead, "batches kept ready", {.min = 1});
  options.add("pass-page-cache", a.pass_page_cache, "as stores larger than memory are read");
  if (!options.parse(argc, argv)) return 0;
  at::set_num_threads(1);
  const json result = a.mode == "codec"  ? codec(a)
                      : a.mode == "copy" ? copy(a)
                      : a.mode == "step" ? step(a)
                                         : stream(a, a.mode == "float");
  std::printf("%s\n", result.dump().c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return homolog::run_main(argc, argv, "bench_stream", [&] { return body(argc, argv); });
}
