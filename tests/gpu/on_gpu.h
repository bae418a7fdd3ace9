// Claims that need a GPU: where none is, a test skips and says which claim was not checked.
#pragma once

#include <gtest/gtest.h>
#include <torch/cuda.h>

#include <string>

namespace homolog {

class OnGpu : public ::testing::Test {
 protected:
  void SetUp() override {
    if (torch::cuda::is_available()) return;
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    GTEST_SKIP() << "NOT CHECKED: " << test->test_suite_name() << "." << test->name()
                 << " (no GPU here)";
  }
};

}  // namespace homolog
