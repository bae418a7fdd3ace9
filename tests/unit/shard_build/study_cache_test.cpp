// Claims about studies read from files: what changed or went away is noticed, stale embeddings are
// made anew.
#include "sharding/study_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "sharding/import/content.h"
#include "sharding/import/load.h"
#include "sharding/match/embedding_folder.h"
#include "sharding/match/sam_weights.h"

namespace homolog::shard {
namespace {

namespace fs = std::filesystem;

class StudyCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log::set_terminal_level("off");
    fs::create_directories(folder_);
    match::SamWeights weights;
    weights.net = {
        .width = 2, .embedding = 4, .stem_kernel = {3, 3, 3}, .coarse_stride = {4, 8, 8}};
    weights.spacing_mm = 2;
    const auto net = std::make_shared<model::SamNet>(weights.net);
    for (const auto& p : net->named_parameters()) weights.tensors[p.key()] = p.value().detach();
    for (const auto& b : net->named_buffers()) weights.tensors[b.key()] = b.value();
    match::write_sam_weights(folder_ / "sam.safetensors", weights);
    volume_.id = "00000000000000aa";
    volume_.grid.size = {20, 18, 16};
    volume_.grid.spacing = {2, 2, 2};
    for (std::int64_t i = 0; i < volume_.grid.voxels(); ++i)
      volume_.hu.push_back(static_cast<std::int16_t>(i % 700 - 300));
    entry_.id = volume_.id;
    entry_.format = "nifti";
    entry_.files = import::FileList({folder_ / "ct.nii.gz"});
    import::write_volume(volume_, entry_.files.front());
    import::describe(volume_, entry_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  void check() {
    match::Embedder embedder(folder_ / "sam.safetensors");
    StudyCache({entry_}, embedder, folder_, match::Mode::Refined, 2).check(0);
  }
  fs::path embedding() const { return match::embedding_file(folder_, entry_.id); }
  fs::path folder_ =
      fs::temp_directory_path() / ("homolog_study_cache_" + std::to_string(::getpid()));
  Volume volume_;
  import::CatalogEntry entry_;
};

TEST_F(StudyCacheTest, AFileReplacedByOneOfTheSameSizeIsNoticed) {
  EXPECT_NO_THROW(check());
  volume_.hu[77] += 1;
  import::write_volume(volume_, entry_.files.front());
  try {
    check();
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Data);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("changed since the catalogue was made"));
    EXPECT_THAT(e.what(), ::testing::HasSubstr("homolog catalog"));
  }
}

TEST_F(StudyCacheTest, AMissingFileIsADataFault) {
  fs::remove(entry_.files.front());
  try {
    check();
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Data);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("missing since the catalogue was made"));
  }
}

TEST_F(StudyCacheTest, AnEmbeddingOfOtherVoxelsOrDamagedIsMadeAnew) {
  check();
  volume_.hu[77] += 1;
  import::write_volume(volume_, entry_.files.front());
  import::describe(volume_, entry_);
  check();
  EXPECT_EQ(match::load_embedding(embedding()).content_hash, entry_.content_hash);
  fs::resize_file(embedding(), fs::file_size(embedding()) - 9);
  check();
  EXPECT_EQ(match::load_embedding(embedding()).content_hash, entry_.content_hash);
}

}  // namespace
}  // namespace homolog::shard
