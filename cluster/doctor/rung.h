// One rung of the ladder that `homolog doctor` climbs: what was measured, what is wrong, how to
// mend it. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace homolog::doctor {

enum class Verdict : std::uint8_t { Ok, NotMeasured, Warn, Failed };  // from good to bad
const char* verdict_name(Verdict verdict) noexcept;  // "ok", "not measured", "warn", "FAILED"

struct Figure {
  std::string name, unit;
  std::vector<double> per_rank;  // NaN: this rank did not measure it
};

struct Rung {
  std::string name;
  Verdict verdict = Verdict::Ok;
  std::string measured;               // one line
  std::vector<std::string> findings;  // each names rank, host and figure
  std::string remedy;                 // of the findings
  std::vector<Figure> figures = {};
  double seconds = 0;  // that the rung took

  // Keeps the worse verdict; the remedy of the worst finding stays.
  void find(Verdict at_least, std::string finding, const std::string& how_to_mend);
};

Rung not_measured(std::string name, std::string why);
Verdict worst(const std::vector<Rung>& rungs) noexcept;  // NotMeasured counts as Ok

// As people read them, and for other programs. `hosts`: one name per rank.
std::string text_of(const Rung& rung);
std::string summary_of(const std::vector<Rung>& rungs);
std::string json_of(const std::vector<Rung>& rungs, const std::vector<std::string>& hosts);

}  // namespace homolog::doctor
