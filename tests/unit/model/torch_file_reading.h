// Files made byte by byte, read back; and the claim that one is refused, and why.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "model/weights/torch_file.h"
#include "torch_file_writer.h"

namespace homolog::model::torch_file {

inline ForeignWeights read(const std::string& bytes, const std::string& part = "") {
  return read_foreign_weights(TemporaryFile(bytes).path(), part);
}

inline void expect_refused(const std::string& bytes, const std::string& reason) {
  try {
    read(bytes);
    FAIL() << "read, though " << reason;
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Data);
    EXPECT_THAT(e.what(), testing::HasSubstr(reason));
  }
}

}  // namespace homolog::model::torch_file
