// bench_pack_store HU.i16 --pairs N --crop X,Y,Z --out STORE: crops of raw HU (pairs of query and
// key, [z][y][x] each) as a store, by the writer that homolog shard uses. --copies: each shard is
// listed so many times, as hard links, for stores larger than one wants to write.
#include <fstream>

#include "base/error.h"
#include "base/hash.h"
#include "base/options.h"
#include "base/run_main.h"
#include "sharding/store/store_manifest.h"
#include "sharding/store/store_names.h"

namespace {

using namespace homolog;

struct Arguments {
  std::vector<std::string> words;
  std::filesystem::path out;
  std::int64_t pairs = 1, pairs_per_shard = 16, copies = 1;
  std::vector<std::int64_t> crop{64, 192, 192};
  std::string voxel = "uint16", codec = "lz4";
};

store::ShardSummary write_shard(const Arguments& a, store::StoreManifest& manifest,
                                std::ifstream& hu_file, std::int64_t first) {
  store::ShardHeader header = manifest.header;
  header.split = "train";
  std::vector<store::StudyRecord> studies;
  for (const std::int64_t study : {2 * first + 1, 2 * first + 2})
    studies.push_back(store::StudyRecord::named(hex64(static_cast<std::uint64_t>(study))));
  store::ShardWriter writer(
      a.out / store::shard_file_name(static_cast<std::int64_t>(manifest.shards.size())), header,
      studies);
  std::vector<std::int16_t> hu(static_cast<std::size_t>(header.voxels()));
  for (std::int64_t pair = first; pair < std::min(first + a.pairs_per_shard, a.pairs); ++pair) {
    store::PairRecord rows{0, 0, 0.9F};
    for (const std::uint32_t side : {0U, 1U}) {
      if (!hu_file.read(reinterpret_cast<char*>(hu.data()),
                        static_cast<std::streamsize>(hu.size() * sizeof hu[0])))
        throw Error(Fault::Data, a.words.front() + " ends early", "check --pairs and --crop");
      store::CropRecord record;
      record.study = side;
      (side == 0 ? rows.query : rows.key) = writer.add_crop(record, hu);
    }
    writer.add_pair(rows);
  }
  for (const store::StudyRecord& study : studies) manifest.studies["train"].push_back(study.name());
  return writer.seal();
}

void copy_shards(const Arguments& a, store::StoreManifest& manifest) {
  const std::size_t written = manifest.shards.size();
  for (std::size_t i = written; i < written * static_cast<std::size_t>(a.copies); ++i) {
    store::ShardSummary copy = manifest.shards[i - written];
    const std::string name = store::shard_file_name(static_cast<std::int64_t>(i));
    std::filesystem::create_hard_link(a.out / copy.file, a.out / name);
    copy.file = name;
    manifest.shards.push_back(copy);
  }
}

int body(int argc, char** argv) {
  Arguments a;
  Options options("bench_pack_store", "HU.i16 --pairs N --crop X,Y,Z --out STORE",
                  "Raw HU to a store.");
  options.positional("HU.i16", a.words, "raw int16");
  options.add("pairs", a.pairs, "in the file", {.min = 1});
  options.add("crop", a.crop, "sides x,y,z", {.unit = "voxels"});
  options.add("pairs-per-shard", a.pairs_per_shard, "in a file", {.min = 1});
  options.add("copies", a.copies, "of each shard", {.min = 1});
  options.add("voxel", a.voxel, "encoding", {.choices = {"uint16", "uint8", "int16"}});
  options.add("codec", a.codec, "compressor", {.choices = {"lz4", "zstd"}});
  options.add("out", a.out, "folder to write", {.required = true});
  if (!options.parse(argc, argv)) return 0;
  std::filesystem::create_directories(a.out);
  store::StoreManifest manifest;
  manifest.header.crop = {a.crop.at(0), a.crop.at(1), a.crop.at(2)};
  manifest.header.encoding = store::encoding_named(a.voxel);
  manifest.header.codec = store::codec_named(a.codec);
  manifest.header.sam_hash = manifest.header.plan_hash = hex64(0);
  std::ifstream hu(a.words.at(0), std::ios::binary);
  for (std::int64_t first = 0; first < a.pairs; first += a.pairs_per_shard)
    manifest.shards.push_back(write_shard(a, manifest, hu, first));
  copy_shards(a, manifest);
  store::save_manifest(a.out, manifest);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return homolog::run_main(argc, argv, "bench_pack_store", [&] { return body(argc, argv); });
}
