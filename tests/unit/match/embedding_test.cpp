// Files of embeddings and SAM weights, and the embedder between them.
#include "sharding/match/embedding.h"

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "model/sam_net.h"
#include "sharding/match/embedder.h"
#include "sharding/match/embedding_folder.h"
#include "sharding/match/sam_weights.h"

namespace homolog::match {
namespace {

namespace fs = std::filesystem;

class EmbeddingFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("homolog-embedding-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    torch::manual_seed(3);
    weights_.net = {
        .width = 2, .embedding = 4, .stem_kernel = {3, 3, 3}, .coarse_stride = {4, 8, 8}};
    weights_.spacing_mm = 5;
    const auto net = std::make_shared<model::SamNet>(weights_.net);
    for (const auto& p : net->named_parameters()) weights_.tensors[p.key()] = p.value().detach();
    for (const auto& b : net->named_buffers()) weights_.tensors[b.key()] = b.value();
    sam_ = folder_ / "sam.safetensors";
    write_sam_weights(sam_, weights_);
    volume_.id = "00000000000000aa";
    volume_.grid.size = {60, 50, 40};
    volume_.grid.spacing = {2.5, 2.5, 4};
    volume_.hu.assign(static_cast<std::size_t>(volume_.grid.voxels()), 40);
    for (std::size_t i = 0; i < volume_.hu.size(); i += 7)
      volume_.hu[i] = static_cast<std::int16_t>(i % 900);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void damage(const fs::path& file) {
    std::fstream f(file, std::ios::in | std::ios::out | std::ios::binary);
    f.seekp(-3, std::ios::end);
    f.put('\x2a');
  }
  static Fault fault_of(const std::function<void()>& act) {
    try {
      act();
    } catch (const Error& error) {
      return error.fault();
    }
    ADD_FAILURE() << "no error";
    return Fault::Usage;
  }
  fs::path folder_, sam_;
  SamWeights weights_;
  Volume volume_;
};

TEST_F(EmbeddingFiles, AVolumeIsSeenOnTheWeightsGrid) {
  Embedder embedder(sam_);
  const Embedding e = embedder.embed(volume_);
  EXPECT_EQ(e.sam_grid.size, (Index3{30, 25, 32}));
  EXPECT_EQ(e.fine_cells(), (Index3{15, 13, 16}));  // x, y rounded up
  EXPECT_EQ(e.coarse_cells(), (Index3{4, 4, 8}));
  EXPECT_EQ(e.coarse_stride, (Index3{8, 8, 4}));
  const torch::Tensor length = e.fine_CDHW.to(torch::kFloat).norm(2, 0);
  EXPECT_LT((length - 1).abs().max().item<double>(), 2e-3);
}

TEST_F(EmbeddingFiles, WhatIsSavedIsLoaded) {
  Embedder embedder(sam_);
  Embedding e = embedder.embed(volume_);
  e.content_hash = "1111111111111111";
  const fs::path file = embedding_file(folder_, volume_.id);
  save_embedding(e, file);
  const Embedding back = load_embedding(file);
  EXPECT_TRUE(torch::equal(back.fine_CDHW, e.fine_CDHW) &&
              torch::equal(back.coarse_CDHW, e.coarse_CDHW));
  EXPECT_EQ(back.volume_grid, e.volume_grid);
  EXPECT_EQ(back.sam_grid, e.sam_grid);
  EXPECT_EQ(back.coarse_stride, e.coarse_stride);
  EXPECT_TRUE(is_current(file, embedder.sam_hash(), "1111111111111111"));
  EXPECT_FALSE(is_current(file, embedder.sam_hash(), "2222222222222222"));
  EXPECT_FALSE(is_current(file, "3333333333333333", "1111111111111111"));
}

TEST_F(EmbeddingFiles, DamageIsNoticed) {
  Embedder embedder(sam_);
  const fs::path file = folder_ / "e.safetensors";
  save_embedding(embedder.embed(volume_), file);
  damage(file);
  EXPECT_EQ(fault_of([&] { load_embedding(file); }), Fault::Data);
  EXPECT_FALSE(is_current(file, embedder.sam_hash(), ""));
  damage(sam_);
  EXPECT_EQ(fault_of([&] { Embedder again(sam_); }), Fault::Data);
  EXPECT_EQ(fault_of([&] { load_embedding(sam_); }), Fault::Data);  // weights are no embedding
}

TEST_F(EmbeddingFiles, OtherSettingsWithTheSameTensorsAreOtherWeights) {
  const std::string before = read_sam_weights(sam_).hash;
  weights_.spacing_mm = 4;
  EXPECT_NE(write_sam_weights(sam_, weights_), before);
}

TEST_F(EmbeddingFiles, AFolderThatCannotBeMadeIsAFaultOfTheMachineWithARemedy) {
  std::ofstream(folder_ / "file") << "in the way";
  try {
    make_embedding_folder(folder_ / "file" / "embeddings");
    ADD_FAILURE() << "a folder within a file";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Environment);
    EXPECT_NE(e.summary().find("embeddings"), std::string::npos);
    EXPECT_FALSE(e.remedy().empty());
  }
  EXPECT_NO_THROW(make_embedding_folder(folder_));
}

TEST_F(EmbeddingFiles, AVolumeBelowOneCoarseCellIsRefusedByName) {
  Embedder embedder(sam_);
  volume_.grid.size = {4, 50, 40};
  volume_.hu.resize(static_cast<std::size_t>(volume_.grid.voxels()));
  EXPECT_EQ(fault_of([&] { embedder.embed(volume_); }), Fault::Data);
}

}  // namespace
}  // namespace homolog::match
