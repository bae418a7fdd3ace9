// Everything in a store, read and compared: what `homolog store verify` reports.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace homolog::store {

struct Finding {
  std::string shard;       // file name, "store.json" for the manifest and the folder
  std::int64_t crop = -1;  // row, -1: the whole shard
  std::uint64_t byte = 0;  // where the crop begins in the file
  std::string what;        // without its place
  std::string remedy;
};
// "shard-00000.h5, crop 12 at byte 4711".
std::string place_of(const Finding& finding);

struct VerifyResult {
  std::vector<Finding> findings;  // empty: the store is whole
  std::int64_t shards = 0, crops = 0, pairs = 0;

  std::string remedy() const;  // for all findings, each way of mending once
};

// All columns of FORMAT.md, "What is checked when": store.json and its folder, the
// structures and unused bytes of every shard, studies, landmarks, pairs, and every crop decoded.
// Throws Fault::Data when store.json itself cannot be read. `advanced(n)`: n crops more are done.
VerifyResult verify(const std::filesystem::path& store,
                    const std::function<void(std::int64_t)>& advanced = {});

}  // namespace homolog::store
