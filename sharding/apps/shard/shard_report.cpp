#include "sharding/apps/shard/shard_report.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/byte_count.h"
#include "base/hash.h"
#include "base/log.h"
#include "sharding/quantisation.h"

namespace homolog {
namespace {

using Json = nlohmann::ordered_json;

std::string range(const std::string& least, const std::string& most) {
  return least == most ? least : least + " to " + most;
}

Json to_json(const ShardOutcome& o) {
  const store::StoreManifest& m = o.manifest;
  const shard::BuildCounts& c = o.counts;
  const double raw = static_cast<double>(m.crops()) * static_cast<double>(m.header.bytes());
  const auto error = shard::quantisation_error(m.header);
  Json row{{"store", o.store.string()},
           {"hash", hex64(m.hash)},
           {"pairs_train", m.pairs("train")},
           {"pairs_validation", m.pairs("validation")},
           {"crops", m.crops()},
           {"shards_written", c.written_shards},
           {"shards_kept", c.kept_shards},
           {"shards_repaired", c.repaired},
           {"bytes", m.bytes()},
           {"compression", m.bytes() ? raw / static_cast<double>(m.bytes()) : 0},
           {"spacing", o.spacing},
           {"encoding", store::encoding_name(m.header.encoding)},
           {"codec", store::codec_name(m.header.codec)},
           {"window_hu", {m.header.window_low_hu, m.header.window_high_hu}},
           {"quantisation_step_hu", error.step_hu},
           {"quantisation_largest_hu", error.largest_hu},
           {"quantisation_rms_hu", error.rms_hu},
           {"landmarks", o.landmarks},
           {"landmarks_drawn", c.plan.landmarks},
           {"draws", c.plan.draws},
           {"fallbacks", c.plan.fallbacks},
           {"warned_crops", c.crops.warned},
           {"refused_crops", c.crops.refused()},
           {"refused_outside", c.crops.outside},
           {"refused_air", c.crops.air},
           {"refused_constant", c.crops.constant},
           {"refused_repeated", c.crops.repeated},
           {"small_studies", c.plan.small_studies},
           {"duplicates", c.duplicates},
           {"studies_left_out", c.left_out.size()},
           {"left_out", Json::array()}};
  for (const auto& [id, reason] : c.left_out)
    row["left_out"].push_back({{"study", id}, {"reason", reason}});
  return row;
}

std::string text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_number_float()) return value.dump();
  char number[40];
  std::snprintf(number, sizeof number, "%.3g", value.get<double>());
  return number;
}

}  // namespace

void tell_forecast(const shard::DiskForecast& f, const std::filesystem::path& out) {
  if (f.shards == 0) return;
  const std::uint64_t free = shard::free_bytes(out);
  log::info("to do", {{"studies", f.studies},
                      {"shards", f.shards},
                      {"landmarks", f.landmarks},
                      {"crops", range(std::to_string(f.least_crops), std::to_string(f.most_crops))},
                      {"disk", range(human_bytes(f.least_bytes), human_bytes(f.most_bytes))},
                      {"at_most", human_bytes(f.bound_bytes)},
                      {"free", human_bytes(free)}});
  if (f.most_bytes > free)
    log::warn("the store may not fit on that disk", {{"free", human_bytes(free)}});
}

void ShardProgress::show(const shard::Standing& s) {
  if (!bar_) {
    bar_ = std::make_unique<Progress>("sharding", total_ - s.landmarks, "landmarks");
    shown_ = s.landmarks;
  }
  const std::string note = s.whole_bytes > 0
                               ? human_bytes(s.bytes) + " of about " +
                                     human_bytes(static_cast<std::uint64_t>(s.whole_bytes))
                               : "";
  // A process that died leaves its group to another, which begins it again.
  const std::int64_t more = std::max<std::int64_t>(0, s.landmarks - shown_);
  shown_ += more;
  bar_->advance(more, note);
  const double left = s.whole_bytes - static_cast<double>(s.bytes);
  if (!warned_ && left > static_cast<double>(shard::free_bytes(out_))) {
    warned_ = true;
    log::warn("the rest will not fit on that disk",
              {{"needed", human_bytes(static_cast<std::uint64_t>(left))},
               {"free", human_bytes(shard::free_bytes(out_))}});
  }
}

void ShardProgress::finish() {
  if (bar_) bar_->finish();
}

void report(const ShardOutcome& outcome, bool json) {
  const Json row = to_json(outcome);
  if (json) {
    std::printf("%s\n", row.dump().c_str());
    return;
  }
  for (const auto& [key, value] : row.items())
    std::printf("%-24s %s\n", key.c_str(), text(value).c_str());
}

}  // namespace homolog
