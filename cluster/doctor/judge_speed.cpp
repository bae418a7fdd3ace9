// Rungs with a stopwatch.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "cluster/doctor/judge.h"

namespace homolog::doctor {
namespace {

constexpr double kMargin = 0.15;  // the others' median minus this is slow
constexpr double kHopeless = 0.5;

Rung named(const std::string& name) {
  return {.name = name, .measured = {}, .findings = {}, .remedy = {}};
}

// Of the finite values, in order; empty: nobody measured.
std::vector<double> sorted(const Figure& figure) {
  std::vector<double> values;
  std::copy_if(figure.per_rank.begin(), figure.per_rank.end(), std::back_inserter(values),
               [](double v) { return std::isfinite(v); });
  std::sort(values.begin(), values.end());
  return values;
}

double median(const Figure& figure) {
  const auto values = sorted(figure);
  return values.empty() ? std::nan("") : values[values.size() / 2];
}

// "11.9 GB/s", or "11.2 to 12.4 GB/s" where ranks differ.
std::string range_text(const Figure& figure) {
  const auto values = sorted(figure);
  if (values.empty()) return "nothing";
  const std::string least = rate_text(values.front(), figure.unit);
  const std::string most = rate_text(values.back(), figure.unit);
  return least == most ? most : rate_text(values.front(), "") + " to " + most;
}

}  // namespace

std::string rate_text(double value, const std::string& unit) {
  char text[48];
  const int decimals = value < 10 ? 2 : value < 100 ? 1 : 0;
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return unit.empty() ? text : std::string(text) + " " + unit;
}

std::string seconds_text(double seconds) {
  const double size = std::abs(seconds);
  if (size < 1e-3) return rate_text(seconds * 1e6, "us");
  return size < 1 ? rate_text(seconds * 1e3, "ms") : rate_text(seconds, "s");
}

double bus_bandwidth(double bytes, double seconds, int ranks) noexcept {
  return 2.0 * (ranks - 1) / ranks * bytes / seconds;
}

Figure figure_of(AllMeasured measured, const std::string& key, const std::string& unit,
                 double scale) {
  Figure figure{key, unit, {}};
  for (const Measured& m : measured) figure.per_rank.push_back(m.number(key) * scale);
  return figure;
}

void fail_errors(Rung& rung, AllFacts facts, AllMeasured measured, const std::string& remedy) {
  for (std::size_t i = 0; i < measured.size(); ++i) {
    if (!measured[i].error.empty())
      rung.find(Verdict::Failed, name_of(facts[i]) + ": " + measured[i].error, remedy);
  }
}

void name_slow_ranks(Rung& rung, AllFacts facts, const Figure& figure, Better better,
                     const std::string& remedy) {
  for (const SlowRank& slow : slow_ranks(figure.per_rank, better, kMargin)) {
    const RankFacts& who = facts[static_cast<std::size_t>(slow.rank)];
    std::string text = name_of(who) + " is slow: " + rate_text(slow.value, figure.unit) +
                       ", the others' median is " + rate_text(slow.others_median, figure.unit);
    if (std::isfinite(slow.sigmas) && figure.per_rank.size() > 2)
      text += " (" + rate_text(slow.sigmas, "sigma") + " behind)";
    rung.find(slow.fraction < kHopeless ? Verdict::Failed : Verdict::Warn, text, remedy);
  }
}

Rung judge_time_skew(AllFacts facts, AllMeasured measured) {
  constexpr double kWarn = 1, kFailed = 60;
  const char* const remedy = "let chrony or ntpd set the clocks of all nodes";
  Rung rung = named("time skew");
  rung.figures = {figure_of(measured, "skew_s", "s"), figure_of(measured, "error_s", "s")};
  double most = 0, error = 0;
  for (std::size_t i = 0; i < measured.size(); ++i) {
    const double skew = measured[i].number("skew_s");
    if (!std::isfinite(skew)) {
      rung.find(Verdict::Warn, name_of(facts[i]) + ": " + measured[i].error,
                "let the nodes reach each other by TCP");
      continue;
    }
    if (std::abs(skew) >= most) {
      most = std::abs(skew);
      error = measured[i].number("error_s");
    }
    if (std::abs(skew) > kWarn)
      rung.find(std::abs(skew) > kFailed ? Verdict::Failed : Verdict::Warn,
                name_of(facts[i]) + ": its clock is " + seconds_text(std::abs(skew)) +
                    (skew > 0 ? " before" : " behind") + " rank 0's",
                remedy);
  }
  rung.measured = facts.size() == 1 ? "one rank"
                                    : "at most " + seconds_text(most) +
                                          " from rank 0's clock (+- " + seconds_text(error) + ")";
  return rung;
}

Rung judge_barrier(AllFacts facts, AllMeasured measured) {
  if (facts.size() == 1) return not_measured("MPI barrier", "one rank, no MPI");
  constexpr double kWarn = 10e-3;
  Rung rung = named("MPI barrier");
  rung.figures = {figure_of(measured, "barrier_s", "s")};
  const double latency = median(rung.figures[0]);
  rung.measured = seconds_text(latency) + " among " + std::to_string(facts.size()) + " ranks";
  if (latency > kWarn)
    rung.find(Verdict::Warn, "a barrier takes " + seconds_text(latency),
              "fewer ranks than cores; a faster network for MPI (ompi_info, OMPI_MCA_btl, UCX)");
  return rung;
}

Rung judge_all_reduce(const std::string& name, AllFacts facts, AllMeasured measured) {
  Rung rung = named(name);
  const int ranks = static_cast<int>(facts.size());
  fail_errors(rung, facts, measured,
              "NCCL_DEBUG=INFO or OMPI_MCA_btl_base_verbose=30 tells which "
              "link fails");
  rung.figures = {figure_of(measured, "small_s", "s"), figure_of(measured, "large_s", "s")};
  const double small = median(rung.figures[0]), large = median(rung.figures[1]);
  if (!std::isfinite(large)) return rung;
  const double bytes = measured[0].number("large_bytes");
  const double bandwidth = bus_bandwidth(bytes, large, ranks) * 1e-9;
  rung.figures.push_back(
      {"bus_bandwidth", "GB/s", std::vector<double>(measured.size(), bandwidth)});
  rung.measured = "small " + seconds_text(small) + "; " + rate_text(bytes / (1 << 20), "MiB") +
                  " in " + seconds_text(large) + ", bus bandwidth " + rate_text(bandwidth, "GB/s");
  return rung;
}

Rung judge_gemm(AllFacts facts, AllMeasured measured) {
  Rung rung = named("GEMM");
  const char* const remedy =
      "look for other programs on that core or GPU, its clock (next rung) and its memory";
  fail_errors(rung, facts, measured, remedy);
  const bool gpus = !facts[0].gpu.empty();
  const Figure rate = gpus ? figure_of(measured, "gflops", "TFLOP/s", 1e-3)
                           : figure_of(measured, "gflops", "GFLOP/s");
  const Figure half = figure_of(measured, "bf16_gflops", "TFLOP/s", 1e-3);
  rung.figures = {rate};
  rung.measured = range_text(rate) + (gpus ? " a GPU" : " a rank") + ", float32";
  name_slow_ranks(rung, facts, rate, Better::Higher, remedy);
  if (!sorted(half).empty()) {
    rung.figures.push_back(half);
    rung.measured += "; " + range_text(half) + ", bf16";
    name_slow_ranks(rung, facts, half, Better::Higher, remedy);
  }
  if (!gpus && facts[0].threads > 1)
    rung.measured += " (" + rate_text(median(rate) / facts[0].threads, rate.unit) + " a core)";
  return rung;
}

Rung judge_clocks(AllFacts facts, AllMeasured measured) {
  constexpr double kLow = 0.6;  // of the highest clock, while computing
  Rung rung = named("clocks");
  const auto check = [&](const std::string& which, const std::string& remedy) {
    const Figure now = figure_of(measured, which + "_mhz", "MHz");
    const Figure most = figure_of(measured, which + "_max_mhz", "MHz");
    if (sorted(now).empty()) return;
    rung.figures.push_back(now);
    rung.measured += (rung.measured.empty() ? "" : "; ") +
                     (which == "cpu" ? std::string("CPU ") : std::string("GPU ")) + range_text(now);
    name_slow_ranks(rung, facts, now, Better::Higher, remedy);
    for (std::size_t i = 0; i < measured.size(); ++i) {
      if (now.per_rank[i] < kLow * most.per_rank[i])
        rung.find(Verdict::Warn,
                  name_of(facts[i]) + ": " + which + " clock " + rate_text(now.per_rank[i], "MHz") +
                      " under load, highest " + rate_text(most.per_rank[i], "MHz"),
                  remedy);
    }
  };
  check("cpu", "power profile of the node: cpupower frequency-set -g performance");
  check("gpu", "nvidia-smi -q -d PERFORMANCE,CLOCK says why; power limit, cooling, locked clocks");
  for (std::size_t i = 0; i < measured.size(); ++i) {
    if (const std::string why = measured[i].word("throttled"); !why.empty())
      rung.find(Verdict::Warn, name_of(facts[i]) + ": GPU holds back: " + why,
                "cooling and power supply of that node; nvidia-smi -q -d PERFORMANCE");
  }
  if (!rung.measured.empty() || rung.verdict != Verdict::Ok) return rung;
  return not_measured("clocks", "this machine does not tell them");
}

Rung judge_disk(const std::string& name, const std::string& folder, AllFacts facts,
                AllMeasured measured) {
  constexpr double kSlow = 20e6;  // bytes/s
  Rung rung = named(name);
  rung.measured = folder;
  fail_errors(rung, facts, measured,
              "mount it there, free space (df), or give a folder that this user can write");
  const auto add = [&](const char* key, const std::string& verb) {
    const Figure figure = figure_of(measured, key, "MB/s", 1e-6);
    if (sorted(figure).empty()) return;
    rung.figures.push_back(figure);
    rung.measured += ", " + verb + " " + range_text(figure);
    const char* const remedy =
        "see df -T, mount and other users of that disk; homolog store stage "
        "copies a store to the node's own disk";
    name_slow_ranks(rung, facts, figure, Better::Higher, remedy);
    for (std::size_t i = 0; i < measured.size(); ++i) {
      if (measured[i].number(key) < kSlow)
        rung.find(Verdict::Warn,
                  name_of(facts[i]) + ": " + verb + " " + rate_text(figure.per_rank[i], "MB/s"),
                  remedy);
    }
  };
  add("write_bps", "write and fsync");
  add("read_bps", "cold read");
  for (const Measured& m : measured) {
    if (const std::string what = m.word("what"); !what.empty()) {
      rung.measured += " (" + what + ")";
      break;
    }
  }
  const auto cached = sorted(figure_of(measured, "cached", ""));
  if (!cached.empty() && cached.back() > 0.1) rung.measured += "; partly from the page cache";
  return rung;
}

}  // namespace homolog::doctor
