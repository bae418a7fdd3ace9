// What a row of each table takes on disk, which forecasts and reservations of space rely on.
#include <gtest/gtest.h>

#include "sharding/store/h5.h"
#include "sharding/store/shard_format.h"

namespace homolog::store {
namespace {

TEST(TableRows, TakeOnDiskWhatTheFormatSays) {
  const auto on_disk = [](const h5::Handle& type) { return H5Tget_size(h5::packed(type)); };
  EXPECT_EQ(on_disk(h5::study_type()), StudyRecord::kRowBytes);
  EXPECT_EQ(on_disk(h5::chunk_type()), ChunkRecord::kRowBytes);
  EXPECT_EQ(on_disk(h5::crop_type()), CropRecord::kRowBytes);
  EXPECT_EQ(on_disk(h5::pair_type()), PairRecord::kRowBytes);
}

}  // namespace
}  // namespace homolog::store
