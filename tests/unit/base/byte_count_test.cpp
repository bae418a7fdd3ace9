// Bytes as a user writes and reads them.
#include "base/byte_count.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace homolog {
namespace {

TEST(ByteCount, ReadsUnitsOfBothKinds) {
  EXPECT_EQ(bytes_of("--limit", "200GiB"), 200ULL << 30);
  EXPECT_EQ(bytes_of("--limit", "200G"), 200ULL << 30);
  EXPECT_EQ(bytes_of("--limit", "1.5 TiB"), 3ULL << 39);
  EXPECT_EQ(bytes_of("--limit", "500MB"), 500000000ULL);
  EXPECT_EQ(bytes_of("--limit", "2kB"), 2000ULL);
  EXPECT_EQ(bytes_of("--limit", "4096"), 4096ULL);
}

TEST(ByteCount, NothingIsANumberOfBytesToo) {
  EXPECT_EQ(bytes_of("--reserve", "0"), 0ULL);
  EXPECT_EQ(bytes_of("--reserve", "0B"), 0ULL);
  EXPECT_EQ(bytes_of("--reserve", "0 GiB"), 0ULL);
}

TEST(ByteCount, RefusesWhatIsNoNumberOfBytesNamingTheOption) {
  for (const char* text : {"", "GiB", "-1GiB", "-0", "0 XB", "12XB", "5 GiBs", "nan", "1e30"}) {
    try {
      bytes_of("--limit", text);
      ADD_FAILURE() << '"' << text << "\" was taken";
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Usage);
      EXPECT_NE(e.summary().find("--limit"), std::string::npos);
    }
  }
}

TEST(ByteCount, IsWrittenInTheLargestUnit) {
  EXPECT_EQ(human_bytes(512), "512 B");
  EXPECT_EQ(human_bytes(3 << 20), "3.00 MiB");
  EXPECT_EQ(human_bytes(200ULL << 30), "200.0 GiB");
}

}  // namespace
}  // namespace homolog
