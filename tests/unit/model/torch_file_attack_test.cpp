// What a hostile .pt may try: memory, time, recursion, names that are no text, archives that say
// two things. Each ends with a message, soon and without much memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "base/error.h"
#include "model/weights/file_words.h"
#include "model/weights/torch_file.h"
#include "torch_file_reading.h"

namespace homolog::model {
namespace {

using namespace torch_file;
using testing::HasSubstr;

std::string times(std::size_t count, const std::string& what) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += what;
  return out;
}

const std::string kTensor = dict({{"w", tensor({})}});

TEST(TorchFileAttack, EachWayToGrowIsBounded) {
  constexpr std::size_t kMany = 2'100'000;
  expect_refused(saved(times(kMany, "N")), "more than 2000000 values");
  expect_refused(saved(times(kMany, "(")), "more than 2000000 values");
  expect_refused(saved("N" + times(kMany, "2")), "more than 2000000 values");
  expect_refused(saved("N" + times(kMany, "\x94")), "more than 2000000 values");
}

TEST(TorchFileAttack, NestedSizesCostNoRecursion) {
  constexpr std::size_t kDeep = 300'000;
  const std::string deep = global("torch", "Size") + "q\1" + "0" + times(kDeep, "h\1") +
                           numbers({2, 2}) + times(kDeep, "\x85R");
  const std::string id =
      tuple({text("storage"), global("torch", "FloatStorage"), text("0"), text("cpu"), number(4)}) +
      "Q";
  const std::string one = global("torch._utils", "_rebuild_tensor_v2") + "(" + id + number(0) +
                          deep + numbers({2, 1}) + "tR";
  expect_refused(saved(dict({{"w", one}})), "w is no tensor");
}

TEST(TorchFileAttack, DictsThatHoldThemselvesAreSearchedOnce) {
  std::string self = "}q\1(";
  for (const char* key : {"state_dict", "model_state_dict", "network_weights", "model", "network",
                          "net", "student", "teacher", "weights"})
    self += text(key) + "h\1";
  for (int i = 0; i < 100'000; ++i) self += "K\1N";
  expect_refused(saved(self + "u"), "no state dict");
}

TEST(TorchFileAttack, ShapesBeyondAnyTensorAreRefused) {
  const auto refuse = [](const TensorPlan& plan) {
    expect_refused(saved(dict({{"w", tensor(plan)}})), "shape of no tensor");
  };
  refuse(
      {.size = std::vector<std::int64_t>(1000, 1), .stride = std::vector<std::int64_t>(1000, 1)});
  refuse({.size = {0, std::int64_t{1} << 62, 8}, .stride = {1, 1, 1}});
}

TEST(TorchFileAttack, NamesThatAreNoTextAreRefusedAndNeverShown) {
  for (const std::string& name : {std::string("w\x1b[2J"), std::string("w\xff"), std::string()}) {
    try {
      read(saved(dict({{name, tensor({})}})));
      FAIL() << name;
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr("a tensor's name is no text"));
      EXPECT_TRUE(is_name(e.what()) || std::string(e.what()).find('\n') != std::string::npos);
      EXPECT_EQ(std::string(e.what()).find('\x1b'), std::string::npos);
    }
  }
  expect_refused(saved(global("os\x1b[2J", "system")), "would run os?[2J.system");
  const auto kept = read(saved(dict({{"w", tensor({})}, {"\xff\x1b", number(1)}})));
  EXPECT_THAT(kept.notes, testing::Contains("left out, no tensors: ??"));
}

TEST(TorchFileAttack, LengthsBeyondTheFileTakeNoMemory) {
  for (const std::string& claim :
       {"X" + little(0x7FFFFFFF, 4), "\x8d" + little(~0ULL, 8), "B" + little(0xFFFFFFFF, 4),
        "\x8e" + little(1ULL << 62, 8), "\x96" + little(1ULL << 62, 8),
        "\x8b" + little(0xFFFFFFFF, 4), std::string("\x8a\xff", 2)})
    expect_refused(saved(claim), "more are needed here");
  expect_refused(saved("L" + std::string(5'000'000, '9') + "L\n" + "0N"), "no dictionary");
}

// Two names for one record, a record inside another's header, bytes that only one reader would see.
TEST(TorchFileAttack, ArchivesThatSayTwoThingsAreRefused) {
  std::string renamed = saved(kTensor);
  renamed.replace(renamed.find("archive/data/0"), 14, "archive/data/1");  // in its own header
  expect_refused(renamed, "the record archive/data/0 is damaged");
  const std::string good = saved(kTensor);
  std::string fewer = good;
  const std::size_t end = good.rfind("PK\x05\x06");
  fewer[end + 8] = fewer[end + 10] = 2;
  expect_refused(fewer, "the archive's directory is damaged");
  std::string encrypted = good;
  encrypted[good.find("PK\x01\x02") + 8] = 1;
  expect_refused(encrypted, "encrypted");
  std::string elsewhere = good;
  elsewhere[end + 16] = static_cast<char>(elsewhere[end + 16] - 4);
  expect_refused(elsewhere, "byte");
}

TEST(TorchFile, ReadsTensorsWithinParametersAndSubclasses) {
  const std::string arguments = tuple({tuple({text("storage"), global("torch", "FloatStorage"),
                                              text("0"), text("cpu"), number(4)}) +
                                           "Q",
                                       number(0), numbers({4}), numbers({1}), "\x89",
                                       global("collections", "OrderedDict") + ")R"});
  const std::string typed = global("torch._tensor", "_rebuild_from_type_v2") +
                            tuple({global("torch._utils", "_rebuild_tensor_v2"),
                                   global("monai.data.meta_tensor", "MetaTensor"), arguments,
                                   dict({{"applied_operations", "]"}})}) +
                            "R";
  const std::string stated = global("torch._utils", "_rebuild_parameter_with_state") +
                             tuple({tensor({}), "\x88", "N", dict({{"no_decay", "\x88"}})}) + "R";
  const auto found = read(saved(dict({{"typed", typed}, {"stated", stated}})));
  EXPECT_EQ(found.weights.tensors.at("typed").sizes(), at::IntArrayRef({4}));
  EXPECT_EQ(found.weights.tensors.at("stated").sizes(), at::IntArrayRef({2, 2}));
}

TEST(TorchFile, NamesThePartOfACheckpointThatWouldHelp) {
  try {
    read(saved(dict({{"ema", kTensor}})));
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("it holds ema"));
    EXPECT_THAT(e.what(), HasSubstr("--part KEY"));
  }
}

}  // namespace
}  // namespace homolog::model
