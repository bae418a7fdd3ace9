// A signal ends what reads a store between two crops, as a stop and not as a death.
#include "sharding/store/commands/read_stop.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "base/error.h"
#include "sharding/store/commands/bench.h"
#include "sharding/store/commands/disk_pass.h"
#include "sharding/store/commands/preview_pairs.h"
#include "sharding/store/commands/stats.h"
#include "tests/unit/data/synthetic_store.h"
#include "tests/unit/store_commands/temporary_folder.h"

namespace homolog::store {
namespace {

// Ends with the code of the fault that `work` meets once a stop was asked for; a flag that is set
// stays, hence a process of its own.
template <class Work>
[[noreturn]] void code_when_stopped(const Work& work) {
  raise_stop_flag(SIGTERM);
  try {
    work();
  } catch (const Error& e) {
    ::_exit(exit_code(e.fault()));
  }
  ::_exit(0);
}

class ReadStop : public ::testing::Test {
 protected:
  void SetUp() override { test::write_synthetic_store(folder_.path(), {.crop = {8, 8, 8}}); }
  test::TemporaryFolder folder_{"read_stop"};
  const ::testing::ExitedWithCode stopped_{75};
};

TEST_F(ReadStop, StatsEndsOnRequest) {
  EXPECT_EXIT(code_when_stopped([&] { stats(folder_.path(), {}); }), stopped_, "");
}

TEST_F(ReadStop, PreviewEndsOnRequest) {
  const PairStore pairs({folder_.path(), "train"});
  EXPECT_EXIT(code_when_stopped([&] { read_preview(pairs, {}, [](const PreviewPair&) {}); }),
              stopped_, "");
}

TEST_F(ReadStop, BenchEndsOnRequest) {
  const PairStore pairs({folder_.path(), "train"});
  EXPECT_EXIT(code_when_stopped([&] { bench(pairs, {.threads = {2}, .seconds = 1}); }), stopped_,
              "");
}

TEST_F(ReadStop, APassOverTheDiskEndsOnRequest) {
  EXPECT_EXIT(code_when_stopped([&] { read_through({folder_.path() / "store.json"}, 3600); }),
              stopped_, "");
}

}  // namespace
}  // namespace homolog::store
