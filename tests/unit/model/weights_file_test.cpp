// A weights file holds what was put in, and nothing broken is ever half loaded.
#include "model/weights/weights_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cstdlib>
#include <fstream>

#include "base/error.h"

namespace homolog::model {
namespace {

class WeightsFileTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) / ("weights-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
    file_ = folder_ / "w.safetensors";
    weights_.tensors["b.weight"] = torch::arange(12, torch::kFloat32).reshape({3, 4});
    weights_.tensors["a.half"] = torch::ones({2, 2}, torch::kFloat16);
    weights_.tensors["scalar"] = torch::tensor(7, torch::kInt64);
    weights_.metadata["note"] = "x";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string bytes() const {
    std::ifstream in(file_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void put(const std::string& text) const { std::ofstream(file_, std::ios::binary) << text; }
  std::filesystem::path folder_, file_;
  WeightsFile weights_;
};

TEST_F(WeightsFileTest, ReturnsWhatWasWritten) {
  write_weights(file_, weights_);
  const WeightsFile back = read_weights(file_);
  EXPECT_EQ(back.metadata.at("note"), "x");
  ASSERT_EQ(back.tensors.size(), 3u);
  for (const auto& [name, tensor] : weights_.tensors)
    EXPECT_TRUE(torch::equal(tensor, back.tensors.at(name))) << name;
  EXPECT_EQ(weights_hash(back.tensors), weights_hash(weights_.tensors));
}

TEST_F(WeightsFileTest, IsReadByPythonsSafetensors) {
  write_weights(file_, weights_);
  const std::string command =
      std::string(HOMOLOG_PYTHON) +
      " -c \"import sys;from safetensors.numpy import load_file as l;d=l(sys.argv[1]);"
      "assert d['b.weight'].tolist()[2]==[8,9,10,11] and d['a.half'].dtype=='float16' and "
      "int(d['scalar'])==7\" " +
      file_.string();
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST_F(WeightsFileTest, RefusesEveryTruncation) {
  write_weights(file_, weights_);
  const std::string whole = bytes();
  for (std::size_t keep = 0; keep < whole.size(); keep += 7) {
    put(whole.substr(0, keep));
    try {
      read_weights(file_);
      FAIL() << "accepted " << keep << " of " << whole.size() << " bytes";
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Data);
    }
  }
}

std::string with_header(const std::string& header, std::size_t data = 16) {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + std::string(data, '\0');
}

TEST_F(WeightsFileTest, RefusesHeadersThatSafetensorsNeverWrites) {
  const auto refused = [&](const std::string& header, const std::string& why,
                           std::size_t data = 16) {
    put(with_header(header, data));
    try {
      read_weights(file_);
      ADD_FAILURE() << "read: " << header.substr(0, 200);
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Data);
      EXPECT_THAT(e.what(), testing::HasSubstr(why)) << header.substr(0, 200);
    }
  };
  const auto entry = [](const std::string& shape, const std::string& offsets) {
    return R"({"dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
  };
  const std::string one = entry("[4]", "[0,16]");
  EXPECT_NO_THROW((put(with_header(R"({"a":)" + one + "}")), read_weights(file_)));
  refused(R"({"a":)" + one + R"(,"a":)" + one + "}", "\"a\" twice");
  refused(R"({"a":{"dtype":"F32","dtype":"F32","shape":[4],"data_offsets":[0,16]}})", "twice");
  refused(R"({"a":)" + entry("[4]", "[-16,0]") + "}", "are not what safetensors writes");
  refused(R"({"a":)" + entry("[4.0]", "[0,16]") + "}", "are not what safetensors writes");
  refused(R"({"a":)" + entry("4", "[0,16]") + "}", "are not what safetensors writes");
  refused(R"({"a":)" + entry("[4]", "[0,16,32]") + "}", "are not what safetensors writes");
  refused(R"({"a":)" + entry("[9223372036854775808,0]", "[0,0]") + "}", "not what", 0);
  refused(R"({"a":)" + entry("[0,9223372036854775807]", "[0,0]") + "}", "do not fit", 0);
  refused(R"({"a":)" + entry("[1,1,1,1,1,1,1,1,4]", "[0,16]") + "}", "do not fit");
  refused(R"({"a":)" + entry("[3]", "[4,16]") + "}", "belong to none");
  refused(R"({"a":)" + entry("[3]", "[0,12]") + "}", "belong to none");
  refused("{\"a\xff\":" + one + "}", "malformed");
  refused("{\"a\\u001b[2J\":" + one + "}", "no text: a?[2J");
  refused(R"({"":)" + one + "}", "no text");
  refused(R"({"__metadata__":{"a":1},"a":)" + one + "}", "texts alone");
  refused(std::string(50'000'000, '['), "nested too deep");
  refused(R"({"a":{"b":{"c":{}}}})", "nested too deep");
  std::string many = "[0";
  for (int i = 0; i < 1'100'000; ++i) many += ",0";
  refused(R"({"a":)" + entry(many + "]", "[0,0]") + "}", "too many values");
  std::string overlapping = "{";
  for (int i = 0; i < 200; ++i)
    overlapping += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":" + entry("[4]", "[0,16]");
  refused(overlapping + "}", "overlap");
}

TEST_F(WeightsFileTest, RefusesOverlapsAndHugeClaimsWithoutAllocating) {
  for (
      const char* header :
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
       R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,16]}})",
       R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})",
       R"({"a":{"dtype":"Q8","shape":[2],"data_offsets":[0,8]}})", R"({"a":3})", R"([1])", "{"}) {
    put(with_header(header));
    EXPECT_THROW(read_weights(file_), Error) << header;
  }
}

TEST_F(WeightsFileTest, LoadsAllOrNothing) {
  torch::nn::Linear layer(2, 2);
  const torch::Tensor before = layer->weight.detach().clone();
  try {
    load_into(*layer,
              {{"weight", torch::zeros({2, 2})},
               {"bias", torch::full({2}, NAN)},
               {"extra", torch::ones({1})}},
              "test.safetensors");
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("bias: holds values that are not finite"),
              std::string::npos)
        << e.what();
    EXPECT_NE(std::string(e.what()).find("unexpected: extra"), std::string::npos);
  }
  EXPECT_TRUE(torch::equal(before, layer->weight));
  load_into(*layer, {{"weight", torch::zeros({2, 2})}, {"bias", torch::ones({2})}},
            "test.safetensors");
  EXPECT_TRUE(torch::equal(layer->weight, torch::zeros({2, 2})));
}

}  // namespace
}  // namespace homolog::model
