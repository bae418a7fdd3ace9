// Pictures of pairs show each side of the patient where a radiologist looks for it.
#include "sharding/store/commands/preview.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "base/error.h"
#include "sharding/store/commands/preview_picture.h"
#include "tests/unit/data/synthetic_store.h"
#include "tests/unit/store_commands/temporary_folder.h"
#include "volume/crop.h"

namespace homolog::store {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSide = 44;  // five pixels a voxel

ShardHeader header_of_cube() {
  ShardHeader header;
  header.crop = {kSide, kSide, kSide};
  return header;
}

// Dark but for one face of the cube, some voxels deep: axis 0 x, 1 y, 2 z; at its low or high end.
PreviewCrop bright_face(int axis, bool high) {
  PreviewCrop crop{"00000000000000aa", {}, std::vector<std::uint16_t>(kSide * kSide * kSide)};
  for (std::int64_t z = 0; z < kSide; ++z) {
    for (std::int64_t y = 0; y < kSide; ++y) {
      for (std::int64_t x = 0; x < kSide; ++x) {
        const std::int64_t at[] = {x, y, z};
        const std::int64_t depth = high ? kSide - 1 - at[axis] : at[axis];
        if (depth < 5) crop.window[static_cast<std::size_t>((z * kSide + y) * kSide + x)] = 380;
      }
    }
  }
  return crop;
}

enum Panel { kAxial = 0, kCoronal = 2, kSagittal = 4 };  // of the query; the key's is the next

// Mean grey of a strip, 8 pixels wide, at one side of a panel; without the corners' letters.
double strip(Picture& p, int panel, char side) {
  const std::int64_t left = kPreviewGap + panel * (kPreviewPanel + kPreviewGap), top = kPreviewTop;
  double sum = 0;
  int count = 0;
  for (std::int64_t along = 40; along < 90; ++along) {
    for (std::int64_t deep = 8; deep < 16; ++deep) {
      const std::int64_t far = kPreviewPanel - 1 - deep;
      const std::int64_t x = side == 'l' ? deep : side == 'r' ? far : along;
      const std::int64_t y = side == 'b' ? far : side == 't' ? deep : along;
      sum += *p.at(left + x, top + y);
      ++count;
    }
  }
  return sum / count;
}

Picture picture_of(const PreviewCrop& query) {
  PreviewPair pair;
  pair.query = query;
  pair.key = bright_face(0, true);
  return picture_of_pair(header_of_cube(), pair);
}

TEST(PreviewPicture, ThePatientsRightIsAtTheLeftTheFrontAtTheTopOrLeftTheHeadAtTheTop) {
  Picture right = picture_of(bright_face(0, false));  // low x: the patient's right, in LPS
  for (const int panel : {kAxial, kCoronal}) {
    EXPECT_GT(strip(right, panel, 'l'), 200) << panel;
    EXPECT_LT(strip(right, panel, 'r'), 60) << panel;
  }
  Picture front = picture_of(bright_face(1, false));  // low y: the front
  EXPECT_GT(strip(front, kAxial, 't'), 150);
  EXPECT_LT(strip(front, kAxial, 'b'), 60);
  EXPECT_GT(strip(front, kSagittal, 'l'), 200);
  EXPECT_LT(strip(front, kSagittal, 'r'), 60);
  Picture head = picture_of(bright_face(2, true));  // high z: the head
  for (const int panel : {kCoronal, kSagittal}) {
    EXPECT_GT(strip(head, panel, 't'), 150) << panel;
    EXPECT_LT(strip(head, panel, 'b'), 60) << panel;
  }
}

TEST(PreviewPicture, TheKeyStandsToTheRightOfTheQueryInEachPlane) {
  Picture p = picture_of(bright_face(0, false));
  EXPECT_GT(strip(p, kAxial + 1, 'r'), 200);  // the key is bright at the patient's left
  EXPECT_LT(strip(p, kAxial + 1, 'l'), 60);
}

TEST(PreviewPicture, TheMarkPointsAtTheLandmarksVoxel) {
  PreviewCrop crop = bright_face(0, false);
  std::fill(crop.window.begin(), crop.window.end(), std::uint16_t{0});
  const Index3 at = landmark_in_crop(header_of_cube().crop);
  crop.window[static_cast<std::size_t>((at.z * kSide + at.y) * kSide + at.x)] = 380;
  Picture p = picture_of(crop);
  for (const int panel : {kAxial, kCoronal, kSagittal}) {
    const std::int64_t left = kPreviewGap + panel * (kPreviewPanel + kPreviewGap);
    std::int64_t brightest = 0, bx = 0, by = 0, mark_x = 0, mark_y = 0, marks = 0;
    for (std::int64_t y = 60; y < 160; ++y) {
      for (std::int64_t x = 60; x < 160; ++x) {
        const std::uint8_t* c = p.at(left + x, kPreviewTop + y);
        if (c[0] == c[2] && c[0] > brightest) {
          brightest = c[0];
          bx = x;
          by = y;
        }
        if (c[0] == 255 && c[2] == 0) {
          mark_x += x;
          mark_y += y;
          ++marks;
        }
      }
    }
    ASSERT_GT(marks, 0);
    EXPECT_GT(brightest, 200);
    EXPECT_NEAR(static_cast<double>(mark_x) / static_cast<double>(marks), bx, 2) << panel;
    EXPECT_NEAR(static_cast<double>(mark_y) / static_cast<double>(marks), by, 2) << panel;
  }
}

bool is_white(Picture& p, std::int64_t x, std::int64_t y) {
  const std::uint8_t* c = p.at(x, y);
  return c[0] == 255 && c[1] == 255 && c[2] == 255;
}

// A crop of zeros: what is white is a letter.
Picture letters_alone() {
  PreviewPair pair;
  pair.query = {"00000000000000aa", {}, std::vector<std::uint16_t>(kSide * kSide * kSide)};
  pair.key = pair.query;
  return picture_of_pair(header_of_cube(), pair);
}

TEST(PreviewPicture, LettersOfNeighbouringPanelsStandTwoLettersApart) {
  Picture p = letters_alone();
  std::int64_t last = -1, least = p.width;  // across the panels' middle line
  for (std::int64_t x = 0; x < p.width; ++x) {
    bool white = false;
    for (std::int64_t y = -kTextHeight / 2; y < kTextHeight / 2; ++y)
      white = white || is_white(p, x, kPreviewTop + kPreviewPanel / 2 + y);
    if (!white) continue;
    if (last >= 0 && x - last > kTextScale) least = std::min(least, x - last);
    last = x;
  }
  EXPECT_GE(least, 2 * kTextAdvance);
}

TEST(PreviewPicture, TitlesStandAbovePanelsAndSidesWithin) {
  Picture p = letters_alone();
  std::int64_t title = -1, side = -1;  // lowest row of titles, highest of the letters
  for (std::int64_t y = 0; y < kPreviewTop + 60; ++y) {
    for (std::int64_t x = 0; x < p.width; ++x) {
      if (!is_white(p, x, y)) continue;
      if (y < kPreviewTop) title = y;
      if (y >= kPreviewTop && side < 0) side = y;
    }
  }
  ASSERT_GE(title, 0);
  EXPECT_GE(side - title, 8);
}

// Pixels of the panel's middle row that a bright crop covers.
std::int64_t covered(Picture& p, int panel) {
  const std::int64_t left = kPreviewGap + panel * (kPreviewPanel + kPreviewGap);
  std::int64_t count = 0;
  for (std::int64_t x = 0; x < kPreviewPanel; ++x)
    count += *p.at(left + x, kPreviewTop + kPreviewPanel / 2 + 30) > 100;
  return count;
}

TEST(PreviewPicture, ACropOfFinerVoxelsKeepsItsScaleUntilItWouldFillLessThanHalf) {
  PreviewPair pair;
  pair.query = {"00000000000000aa", {}, std::vector<std::uint16_t>(kSide * kSide * kSide, 200)};
  pair.key = pair.query;
  pair.key.record.spacing_mm = {1.5, 1.5, 1.5};
  Picture near = picture_of_pair(header_of_cube(), pair);
  EXPECT_NEAR(static_cast<double>(covered(near, kAxial)), kPreviewPanel / 1.5, 2);
  EXPECT_EQ(covered(near, kAxial + 1), kPreviewPanel);
  pair.key.record.spacing_mm = {5, 5, 5};
  Picture far = picture_of_pair(header_of_cube(), pair);
  EXPECT_EQ(covered(far, kAxial), kPreviewPanel);
  EXPECT_EQ(covered(far, kAxial + 1), kPreviewPanel);
}

std::set<std::uint64_t> drawn(const PairStore& pairs, const PreviewPlan& plan) {
  std::set<std::uint64_t> indices;
  read_preview(pairs, plan, [&](const PreviewPair& pair) { indices.insert(pair.index); });
  return indices;
}

TEST(Preview, DrawsTheSamePairsForASeedEachOnceAndAllWhenAskedForAll) {
  const test::TemporaryFolder folder("preview_draw");
  test::write_synthetic_store(folder.path(), {.train = 30, .validation = 3, .crop = {8, 8, 8}});
  const PairStore pairs({folder.path(), "train"});
  const auto first = drawn(pairs, {.pairs = 8, .seed = 3});
  EXPECT_EQ(first.size(), 8U);
  EXPECT_EQ(first, drawn(pairs, {.pairs = 8, .seed = 3}));
  EXPECT_NE(first, drawn(pairs, {.pairs = 8, .seed = 4}));
  EXPECT_EQ(drawn(pairs, {.pairs = 30}).size(), 30U);
  EXPECT_THROW(drawn(pairs, {.pairs = 31}), Error);
}

TEST(Preview, ThePageNeedsNothingFromElsewhereAndNamesScoreAndPseudonyms) {
  const test::TemporaryFolder folder("preview_page");
  test::write_synthetic_store(folder.path(), {.crop = {8, 8, 8}});
  const test::TemporaryFolder elsewhere("preview_page_out");
  const fs::path out = elsewhere.path() / "pairs.html";
  EXPECT_THROW(check_preview({.pairs = 3}, folder.path() / "pairs.html"), Error) << "in the store";
  write_preview(PairStore({folder.path(), "train"}), {.pairs = 3}, out);
  std::ostringstream text;
  text << std::ifstream(out).rdbuf();
  const std::string page = text.str();
  for (const char* foreign : {"http:", "https:", "<script", "@import", "url("})
    EXPECT_EQ(page.find(foreign), std::string::npos) << foreign;
  std::size_t figures = 0;
  for (std::size_t at = 0; (at = page.find("src=\"data:image/png;base64,iVBOR", at)) != page.npos;
       ++at)
    ++figures;
  EXPECT_EQ(figures, 3U);
  EXPECT_NE(page.find("score 0.900"), std::string::npos);
  EXPECT_NE(page.find("<code>0000000000000001</code>"), std::string::npos);
}

}  // namespace
}  // namespace homolog::store
