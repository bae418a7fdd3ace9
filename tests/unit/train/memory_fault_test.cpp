// What is told when memory runs out in the middle of training.
#include "train/memory_fault.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <new>
#include <stdexcept>

#include "base/error.h"

namespace homolog::train {
namespace {

using testing::HasSubstr;
using testing::Not;

template <class Body>
void told(const Body& body) {
  try {
    body();
  } catch (...) {
    rethrow_with_remedy_for_memory();
  }
}

template <class Body>
void expect_remedy(const Body& body) {
  try {
    told(body);
    FAIL() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Environment);
    EXPECT_THAT(e.remedy(), HasSubstr("data.batch"));
    EXPECT_THAT(e.what(), Not(HasSubstr("frame #")));
  }
}

TEST(MemoryFault, ATensorLargerThanTheMachineTellsWhatToLower) {
  expect_remedy([] { torch::empty({std::int64_t{1} << 50}); });
}

TEST(MemoryFault, ATensorWhoseBytesOverflowTellsWhatToLower) {
  expect_remedy([] { torch::empty({std::int64_t{1} << 40, std::int64_t{1} << 40}); });
}

TEST(MemoryFault, MemoryThatRanOutElsewhereTellsWhatToLower) {
  expect_remedy([] { throw std::bad_alloc(); });
}

TEST(MemoryFault, OtherErrorsStayAsTheyAre) {
  EXPECT_THROW(told([] { torch::ones({2, 3}).mm(torch::ones({2, 3})); }), c10::Error);
  EXPECT_THROW(told([] { throw std::out_of_range("x"); }), std::out_of_range);
}

}  // namespace
}  // namespace homolog::train
