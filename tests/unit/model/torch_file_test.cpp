// .pt files are read as data: tensors come out, nothing runs, and what does not add up is refused.
#include "model/weights/torch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "base/error.h"
#include "torch_file_reading.h"

namespace homolog::model {
namespace {

using namespace torch_file;
using testing::HasSubstr;

const std::string kGood = dict({{"w", tensor({})}});

TEST(TorchFile, GivesTheTensorsOfAStateDict) {
  const auto read_back = read(saved(kGood));
  ASSERT_EQ(read_back.weights.tensors.size(), 1U);
  EXPECT_TRUE(read_back.weights.tensors.at("w").equal(torch::tensor({{1.F, 2.F}, {3.F, 4.F}})));
  EXPECT_EQ(read_back.container, "torch zip");
}

TEST(TorchFile, FollowsStridesAndOffsets) {
  const auto t = read(saved(dict({{"w", tensor({.size = {2, 2}, .stride = {1, 2}})},
                                  {"v", tensor({.offset = 1, .size = {3}, .stride = {1}})},
                                  {"s", tensor({.offset = 3, .size = {}, .stride = {}})}})))
                     .weights.tensors;
  EXPECT_TRUE(t.at("w").equal(torch::tensor({{1.F, 3.F}, {2.F, 4.F}})));
  EXPECT_TRUE(t.at("v").equal(torch::tensor({2.F, 3.F, 4.F})));
  EXPECT_EQ(t.at("s").item<float>(), 4.F);
}

TEST(TorchFile, FindsTheStateDictOfACheckpointAndSaysWhatItLeavesOut) {
  const std::string inner = dict({{"module.backbone.w", tensor({})}});
  const auto found = read(saved(dict({{"epoch", number(3)}, {"state_dict", inner}})));
  EXPECT_TRUE(found.weights.tensors.contains("w"));
  EXPECT_THAT(found.notes, testing::Contains(HasSubstr("state_dict")));
  EXPECT_THAT(found.notes, testing::Contains(HasSubstr("backbone.")));
  const auto beside = read(saved(dict({{"rng_state", tensor({})}, {"state_dict", inner}})));
  EXPECT_TRUE(beside.weights.tensors.contains("w")) << "a tensor stands beside the state dict";
  const auto chosen =
      read(saved(dict({{"ema", dict({{"w", tensor({})}, {"n", number(1)}})}})), "ema");
  EXPECT_TRUE(chosen.weights.tensors.contains("w"));
  EXPECT_THAT(chosen.notes, testing::Contains(HasSubstr("left out, no tensors: n")));
  expect_refused(saved(dict({{"epoch", number(3)}})), "no state dict");
}

// Every opcode that makes Python look a name up or call it.
TEST(TorchFile, RunsNothingWhateverThePickleWantsRun) {
  const std::string run = global("os", "system"), say = text("echo"), one = tuple({say});
  const std::string stacked = text("os") + text("system") + "\x93";
  const std::string dictionary = global("collections", "OrderedDict") + ")R";
  for (const std::string& evil :
       {run, run + one + "R", stacked + one + "R", "(" + say + "ios\nsystem\n",
        "(" + run + say + "o", run + one + "\x81", run + one + "}\x92", run + ")R" + dict({}) + "b",
        dictionary + run + one + "R" + "b", "]" + run + "a"}) {
    expect_refused(saved(evil), "this pickle would run os.system");
    expect_refused(saved(dict({{"w", tensor({})}, {"x", evil}})), "os.system");
    expect_refused(saved(dict({{"state_dict", dict({{"w", evil}})}})), "os.system");
    expect_refused(pickle(evil), "os.system");
  }
  expect_refused(saved(global("builtins", "eval") + one + "R"), "builtins.eval");
  expect_refused(saved(global("__builtin__", "exec") + one + "R"), "__builtin__.exec");
  expect_refused(saved(global("torch", "load") + one + "R"), "torch.load");
  expect_refused(saved(global("torch.storage", "_load_from_bytes") + one + "R"),
                 "_load_from_bytes");
  expect_refused(saved("\x82\x01"), "opcode 130");
}

TEST(TorchFile, NamesTensorsThatItDoesNotReadWithoutCallingThemAnAttack) {
  const std::string one = tuple({number(1)}) + "R";
  for (const auto& [name, said] : {std::pair("_rebuild_sparse_tensor", "holds a sparse tensor"),
                                   std::pair("_rebuild_qtensor", "holds a quantised tensor"),
                                   std::pair("_rebuild_tensor_v3", "float8"),
                                   std::pair("_rebuild_meta_tensor_no_storage", "has no numbers")})
    expect_refused(saved(dict({{"w", global("torch._utils", name) + one}})), said);
  expect_refused(saved(dict({{"w", tensor({.type = "ComplexFloatStorage"})}})), "complex numbers");
}

TEST(TorchFile, SaysWhatElseLiesUnderTheNameOfWeights) {
  expect_refused("\n<!DOCTYPE html><html><body>Sign in</body></html>", "is a web page");
  expect_refused("<HTML><head></head></HTML>", "is a web page");
  expect_refused("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
                 "is a pointer of Git LFS");
  expect_refused(saved(kGood, {{.name = "archive/code/__torch__.py", .data = "x", .method = 8}}),
                 "TorchScript program");
  expect_refused(saved(kGood, {{.name = "archive/constants.pkl", .data = "x"}}), "TorchScript");
}

TEST(TorchFile, KeepsInertObjectsAsNotes) {
  const std::string space =
      global("argparse", "Namespace") + ")R" + dict({{"lr", number(1)}}) + "b";
  const std::string scalar = global("numpy.core.multiarray", "scalar") + tuple({number(1)}) + "R";
  const std::string zone = global("datetime", "timezone") +
                           tuple({global("datetime", "timedelta") + numbers({0, 0, 0}) + "R"}) +
                           "R";
  const std::string time = global("datetime", "datetime") +
                           tuple({"C\x0a" + std::string("\x07\xe8\1\1\0\0\0\0\0\0", 10), zone}) +
                           "R";
  const std::string config =
      global("mmcv.utils.config", "ConfigDict") + ")\x81" + dict({{"lr", number(1)}}) + "b";
  const auto found = read(saved(dict(
      {{"args", space}, {"best", scalar}, {"saved", time}, {"meta", config}, {"model", kGood}})));
  EXPECT_TRUE(found.weights.tensors.contains("w"));
}

TEST(TorchFile, RefusesTensorsThatLeaveTheirStorageOrOverlapThemselves) {
  const auto refuse = [](const TensorPlan& plan, const std::string& reason) {
    expect_refused(saved(dict({{"w", tensor(plan)}})), reason);
  };
  refuse({.offset = 1}, "leave its storage");
  refuse({.offset = 5}, "starts outside");
  refuse({.offset = -1}, "starts outside");
  refuse({.size = {1000, 1000}, .stride = {0, 0}}, "overlap");
  refuse({.size = {2, 2}, .stride = {1, 1}}, "overlap");
  refuse({.size = {2, 2}, .stride = {-2, 1}}, "w is no tensor");
  refuse({.size = {std::int64_t{1} << 62, 4}, .stride = {4, 1}}, "shape of no tensor");
  refuse({.size = {4}, .stride = {std::int64_t{1} << 62}}, "leave its storage");
  refuse({.storage = 5}, "not 5 numbers");
  refuse({.storage = std::int64_t{1} << 60}, "numbers");
  refuse({.key = "7"}, "archive/data/7 is missing");
  refuse({.type = "ComplexFloatStorage"}, "ComplexFloatStorage");
}

TEST(TorchFile, RefusesMoreTensorsThanTheFileCanHold) {
  std::vector<std::pair<std::string, std::string>> many;
  for (int i = 0; i < 40; ++i) many.emplace_back(std::to_string(i), "h\1");  // the same one again
  const std::string shared =
      dict({{"w", tensor({.storage = 4096, .size = {4096}, .stride = {1}}) + "q\1"}});
  const std::string big(16384, '\0');
  EXPECT_NO_THROW(read(saved(shared, {{"archive/data/0", big}})));
  expect_refused(saved(shared + "(" + dict(many).substr(2), {{"archive/data/0", big}}), "memory");
}

TEST(TorchFile, CountsArgumentsThatAreRecalledAgainAndAgain) {
  std::string body = "((" + std::string(100'000, 'N') + "tq";
  body += '\0';
  for (int i = 0; i < 100; ++i) {
    body += global("collections", "OrderedDict") + "h";
    body += '\0';
    body += "R";
  }
  expect_refused(saved(body + "l"), "calls with too much");
}

TEST(TorchFile, RefusesDamagedArchives) {
  const std::string good = saved(kGood);
  expect_refused(good.substr(0, good.size() - 30), "cut off");
  expect_refused(good.substr(0, good.size() / 2), "byte");
  expect_refused(saved(kGood, {{"archive/data/0", kFourFloats, 8}}), "compressed");
  expect_refused(saved(kGood, {{.name = "archive/data/0", .data = kFourFloats, .crc_xor = 1}}),
                 "checksum");
  expect_refused(saved(kGood, {{.name = "archive/data/0", .data = kFourFloats, .at = 0}}),
                 "the record archive/data/0 is damaged");
  // A record within the data of another, header and all.
  const std::string inner = zip({{"archive/data/9", "0123"}});
  const std::size_t inside = saved(kGood).find(kFourFloats);
  expect_refused(
      saved(kGood,
            {{"archive/data/0", inner.substr(0, inner.find("PK\x01\x02"))},
             {.name = "archive/data/9", .data = "0123", .at = static_cast<std::int64_t>(inside)}}),
      "overlap");
  expect_refused(
      saved(kGood, {{.name = "archive/data/0", .data = kFourFloats, .more_bytes = 1 << 30}}),
      "past");
  expect_refused(saved(kGood, {{"archive/byteorder", "big"}}), "big-endian");
  expect_refused(zip({{"archive/readme", "x"}}), "no data.pkl");
}

TEST(TorchFile, EndsEveryDamageToItsPickleWithAnError) {
  const std::string good = pickle(dict({{"a", tensor({})}, {"b", "]" + number(1) + "a"}}));
  const auto archive = [](const std::string& p) {
    return zip({{"archive/data.pkl", p}, {"archive/data/0", kFourFloats}});
  };
  int refused = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    expect_refused(archive(good.substr(0, i)), "byte");
    std::string flipped = good;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x15);
    try {
      read(archive(flipped));
    } catch (const Error& e) {
      ++refused;
      EXPECT_EQ(e.fault(), Fault::Data) << e.what();
    }
  }
  EXPECT_GT(refused, static_cast<int>(good.size() / 2));
}

// Deep nesting costs a stack entry a level, not a call.
TEST(TorchFile, IsNotBroughtDownByDepth) {
  std::string deep;
  for (int i = 0; i < 200000; ++i) deep += "]";
  for (int i = 1; i < 200000; ++i) deep += "a";
  expect_refused(saved(deep), "no dictionary");
}

}  // namespace
}  // namespace homolog::model
