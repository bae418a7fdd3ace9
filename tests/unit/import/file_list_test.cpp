// Claims about the files of a study: what is put in comes out, the shared folder is held once.
#include "sharding/import/file_list.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace homolog::import {
namespace {

namespace fs = std::filesystem;

TEST(FileList, GivesEveryPathBackAsItWasGiven) {
  const std::vector<fs::path> given{"/scans/a/1.dcm", "/scans/a/2.dcm", "/scans/b/3.dcm", "/4.dcm",
                                    "/scans/a/deeper/5.dcm"};
  const FileList files(given);
  EXPECT_EQ(files.paths(), given);
  EXPECT_EQ(files.front(), given.front());
  EXPECT_EQ(files.at(3), given[3]);
  EXPECT_EQ(files.size(), given.size());
  EXPECT_EQ(FileList({"relative.nii"}).front(), "relative.nii");
}

TEST(FileList, OfNothingIsEmpty) {
  EXPECT_TRUE(FileList().empty());
  EXPECT_TRUE(FileList(std::vector<fs::path>{}).paths().empty());
  EXPECT_THROW(FileList().at(0), std::out_of_range);
}

TEST(FileList, IsSortedByItsFirstPath) {
  const FileList low({"/scans/a/1.dcm"}), high({"/scans/a-b/1.dcm"}),
      longer({"/scans/a/1.dcm", "/scans/a/2.dcm"});
  EXPECT_EQ(low < high, fs::path("/scans/a/1.dcm") < fs::path("/scans/a-b/1.dcm"));
  EXPECT_NE(low < high, high < low);
  EXPECT_TRUE(low < longer);
  EXPECT_FALSE(longer < low);
  EXPECT_FALSE(low < low);
}

}  // namespace
}  // namespace homolog::import
