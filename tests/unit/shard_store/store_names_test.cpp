// One rule of which names a store's own files bear.
#include "sharding/store/store_names.h"

#include <gtest/gtest.h>

#include "base/atomic_file.h"

namespace homolog::store {
namespace {

TEST(StoreNames, AStoresFilesAreItsOwnAlsoWhileTheyAreWritten) {
  for (const std::string& name : {shard_file_name(12), std::string("store.json")}) {
    EXPECT_TRUE(is_of_a_store(name)) << name;
    EXPECT_TRUE(is_of_a_store(temporary_beside(name).string())) << name;
  }
}

TEST(StoreNames, NoOtherFileIsTakenForAStoresOwn) {
  for (const char* name :
       {"notes.txt", "a.tmp-1", "draft.tmp-final", "shard-1.h5", "shard-0000x.h5", "store.json~",
        "shard-00000.h5.bak", "my.shard-00000.h5.tmp-host-1-2.0"})
    EXPECT_FALSE(is_of_a_store(name)) << name;
}

TEST(StoreNames, CopiesOfShardsHaveNoManifest) {
  EXPECT_TRUE(is_of_a_shard(shard_file_name(3)));
  EXPECT_TRUE(is_of_a_shard(temporary_beside(shard_file_name(3)).string()));
  EXPECT_FALSE(is_of_a_shard("store.json"));
}

}  // namespace
}  // namespace homolog::store
