// No script, no font, no picture from elsewhere: the page can be sent as it is.
#include "sharding/store/commands/preview.h"

#include <openssl/evp.h>
#include <strings.h>

#include <cctype>
#include <cstdio>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/hash.h"
#include "sharding/store/commands/preview_picture.h"
#include "sharding/store/store_names.h"

namespace homolog::store {
namespace {

constexpr std::int64_t kMostInPng = 64;

bool is_html_name(const std::filesystem::path& file) {
  return ::strcasecmp(file.extension().c_str(), ".html") == 0;
}

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --line: #8886; --weak: #b45309; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1380px; margin: 1.5rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; margin: 0 0 .3rem; }
p { margin: .3rem 0 1rem; max-width: 75ch; }
figure { margin: 0 0 1.4rem; border: 1px solid var(--line); border-radius: 6px; overflow: hidden; }
.sheet { overflow-x: auto; background: #101010; }
img { display: block; width: 100%; min-width: 680px; height: auto; }
figcaption { padding: .5rem .8rem; display: flex; flex-wrap: wrap; gap: .2rem 1.6rem; }
code { font-size: .92em; }
.weak { color: var(--weak); }
@media (prefers-color-scheme: dark) { :root { --weak: #fbbf24; } }
)";

std::string base64(const std::string& bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, 0);
  const int n = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                reinterpret_cast<const unsigned char*>(bytes.data()),
                                static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(n));
  return text;
}

std::string number(const char* format, double value) {
  char text[40];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string title_of(const PairStore& pairs, const PreviewPlan& plan) {
  const ShardHeader& h = pairs.header();
  return "store " + hex64(pairs.manifest().hash) + ", " + std::to_string(plan.pairs) + " of " +
         std::to_string(pairs.pairs()) + " " + plan.split + " pairs, window " +
         std::to_string(h.window_low_hu) + " to " + std::to_string(h.window_high_hu) + " HU";
}

// The font has capitals, and of the small letters those of pseudonyms.
std::string capitals(const PairStore& pairs, const PreviewPlan& plan) {
  std::string text = title_of(pairs, plan);
  const std::string hash = hex64(pairs.manifest().hash);
  const auto at = text.find(hash);
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text.replace(at, hash.size(), hash);
}

std::string side(const char* name, const PreviewCrop& crop) {
  const auto& s = crop.record.spacing_mm;
  return std::string("<span>") + name + " <code>" + crop.study + "</code>, voxels of " +
         number("%.2f", s[0]) + " × " + number("%.2f", s[1]) + " × " + number("%.2f", s[2]) +
         " mm" +
         (crop.record.outside_share > 0
              ? ", " + number("%.0f", 100.0 * crop.record.outside_share) + " % beyond its scan"
              : std::string()) +
         "</span>\n";
}

std::string figure(const PairStore& pairs, const PreviewPair& pair) {
  const auto& config = pairs.manifest().config;
  const auto threshold = config.find("threshold");
  const bool weak =
      threshold != config.end() && pair.score <= std::strtod(threshold->second.c_str(), nullptr);
  const std::string score = number("%.3f", pair.score), name = std::to_string(pair.index);
  return "<figure>\n<div class=\"sheet\"><img alt=\"Query and key of pair " + name +
         " in axial, coronal and sagittal planes through the landmark\" "
         "src=\"data:image/png;base64," +
         base64(png_of(picture_of_pair(pairs.header(), pair))) +
         "\"></div>\n<figcaption>\n<strong>pair " + name + ", score " + score + "</strong>\n" +
         (weak ? "<span class=\"weak\">at or below the store's threshold " + threshold->second +
                     "</span>\n"
               : "") +
         side("query", pair.query) + side("key", pair.key) + "<span>" + pair.shard + ", row " +
         std::to_string(pair.row) + "</span>\n</figcaption>\n</figure>\n";
}

std::string page(const PairStore& pairs, const PreviewPlan& plan) {
  std::string text =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>Pairs of a store</title>\n<style>" +
      std::string(kStyle) + "</style>\n</head>\n<body>\n<h1>Pairs of a store</h1>\n<p>" +
      title_of(pairs, plan) +
      ". Query beside key in each plane through the landmark (cross); the patient's right is at "
      "the left. In each plane, query and key are at one scale in millimetres; one that would be "
      "less "
      "than half as large is enlarged, and says how much." +
      (pairs.header().margin > 0 ? " The frame is what is left without the margin." : "") +
      "</p>\n";
  read_preview(pairs, plan, [&](const PreviewPair& pair) { text += figure(pairs, pair); });
  return text + "</body>\n</html>\n";
}

}  // namespace

void check_preview(const PreviewPlan& plan, const std::filesystem::path& out) {
  if (!is_png_name(out) && !is_html_name(out))
    throw Error(Fault::Usage, "cannot write " + out.string() + ": a preview is PNG or HTML",
                "give a name that ends in .png or .html");
  if (const auto store = store_around(out); !store.empty())
    throw Error(Fault::Usage, "--out " + out.string() + " lies in the store " + store.string(),
                "choose a file outside of every store");
  if (is_png_name(out) && plan.pairs > kMostInPng) {
    throw Error(Fault::Usage,
                "--pairs " + std::to_string(plan.pairs) + ": one PNG holds up to " +
                    std::to_string(kMostInPng),
                "give fewer, or a name that ends in .html");
  }
}

void write_preview(const PairStore& pairs, const PreviewPlan& plan,
                   const std::filesystem::path& out) {
  check_preview(plan, out);
  if (is_html_name(out)) return write_file_atomically(out, page(pairs, plan));
  PreviewSheet sheet(pairs.header(), plan.pairs, capitals(pairs, plan));
  read_preview(pairs, plan, [&](const PreviewPair& pair) { sheet.add(pair); });
  write_png(sheet.picture(), out);
}

}  // namespace homolog::store
