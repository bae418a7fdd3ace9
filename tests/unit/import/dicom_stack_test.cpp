// Slices stack by position alone, and what cannot be a volume is named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "sharding/import/dicom_slice.h"

namespace homolog::import {
namespace {

std::vector<DicomSlice> axial(const std::vector<double>& heights) {
  std::vector<DicomSlice> slices;
  for (const double z : heights) {
    DicomSlice slice;
    slice.file = "/scans/" + std::to_string(slices.size());
    slice.rows = 20;
    slice.columns = 30;
    slice.has_pixels = slice.has_place = slice.has_spacing = true;
    slice.position = {-5, -6, z};
    slice.orientation = {1, 0, 0, 0, 1, 0};
    slice.column_mm = 0.7;
    slice.row_mm = 0.9;
    slice.thickness_mm = 3;
    slices.push_back(slice);
  }
  return slices;
}

std::string refusal(std::vector<DicomSlice> slices) {
  try {
    stack_slices(std::move(slices));
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::Data);
    return error.summary();
  }
  return "";
}

TEST(DicomStack, SortsByPositionNotByOrderOfFiles) {
  const SliceStack stack = stack_slices(axial({10, 2, 6, -2}));
  EXPECT_EQ(stack.grid.size, (Index3{30, 20, 4}));
  EXPECT_EQ(stack.grid.spacing, (Point3{0.7, 0.9, 4}));
  EXPECT_EQ(stack.grid.origin, (Point3{-5, -6, -2}));
  EXPECT_EQ(stack.slices.front().file, "/scans/3");
  EXPECT_EQ(stack.slices.back().file, "/scans/0");
  EXPECT_TRUE(stack.warnings.empty());
}

TEST(DicomStack, CoronalSlicesStackAlongTheirNormal) {
  auto slices = axial({0, 0, 0});
  for (std::size_t i = 0; i < 3; ++i) {
    slices[i].orientation = {1, 0, 0, 0, 0, -1};  // normal = x cross -z = +y
    slices[i].position = {0, 2.0 * static_cast<double>(2 - i), 0};
  }
  const SliceStack stack = stack_slices(slices);
  EXPECT_EQ(stack.slices.front().file, "/scans/2");
  EXPECT_LT(distance(stack.grid.to_world(Index3{0, 0, 2}), Point3{0, 4, 0}), 1e-12);
  EXPECT_LT(distance(stack.grid.to_world(Index3{0, 10, 0}), Point3{0, 0, -9}), 1e-12);
}

TEST(DicomStack, AMissingSliceIsNamedAlsoWhereItIsHalfOfThem) {
  EXPECT_THAT(refusal(axial({0, 5, 10, 20, 25})),
              testing::HasSubstr("missing slice: a step of 10.00 mm at z = 20.00 mm"));
  EXPECT_THAT(refusal(axial({0, 5, 15})), testing::HasSubstr("missing slice"));
}

TEST(DicomStack, TwoSlicesAtOnePlaceAreRefused) {
  EXPECT_THAT(refusal(axial({0, 5, 5, 10})), testing::HasSubstr("two slices at one place"));
}

TEST(DicomStack, UnevenStepsAreRefusedSlightOnesWarned) {
  EXPECT_THAT(refusal(axial({0, 5, 10, 16, 21})), testing::HasSubstr("uneven"));
  EXPECT_EQ(stack_slices(axial({0, 5, 10, 15.2, 20.2})).warnings.size(), 1U);
}

TEST(DicomStack, ATiltedGantryIsRefusedWithItsAngle) {
  auto slices = axial({0, 5, 10, 15});
  for (std::size_t i = 0; i < 4; ++i)
    slices[i].position.y = static_cast<double>(i) * 5 * std::tan(14 * M_PI / 180);
  EXPECT_THAT(refusal(slices), testing::HasSubstr("14.0 degrees"));
}

TEST(DicomStack, DifferingSizesPlacesAndSlopesAreRefused) {
  auto slices = axial({0, 5, 10});
  slices[1].rows = 10;
  EXPECT_THAT(refusal(slices), testing::HasSubstr("slice size differs"));
  slices = axial({0, 5, 10});
  slices[1].has_place = false;
  EXPECT_THAT(refusal(slices), testing::HasSubstr("no slice position"));
  slices = axial({0, 5, 10});
  slices[2].slope = 0;
  EXPECT_THAT(refusal(slices), testing::HasSubstr("slope"));
}

TEST(DicomStack, AChangingInterceptIsWarnedOf) {
  auto slices = axial({0, 5, 10});
  slices[1].intercept = -1000;
  EXPECT_THAT(stack_slices(slices).warnings,
              testing::ElementsAre(testing::HasSubstr("slice by slice")));
}

}  // namespace
}  // namespace homolog::import
