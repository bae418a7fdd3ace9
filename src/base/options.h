// Options declared once: the same declaration serves command line, INI files, --help, --dump-config
// and the run's manifest. Boost.Program_options does the parsing underneath.
//
//   struct SchedulePlan { double peak = 1e-3; };
//   void declare(Options& o, SchedulePlan& p) {
//     o.add("schedule.peak", p.peak, "learning rate after warm-up", {.min = 0, .max = 1});
//   }
//
// Keys with a dot ("section.key") can stand in INI files; keys without are for the command line
// only. Later wins: default, --config files in order, --set KEY=VALUE, --KEY VALUE.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace homolog {

struct Rule {
  double min = -std::numeric_limits<double>::infinity();  // numbers (each entry of a list)
  double max = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices = {};  // strings: one of these
  std::string unit = "";                  // shown in help: "mm", "HU", "s"
  bool required = false;                  // must be given somewhere
};

class Options {
 public:
  // `usage` follows the program's name in help ("--catalog C --out STORE").
  Options(std::string program, std::string usage, std::string summary);
  ~Options();

  // Bind a key to `value`, whose present content is the default. `value` must outlive parse().
  // A list is written "4,4,8,4". bool: "--key" alone means true. Declaring a key twice throws
  // std::logic_error.
  using Target = std::variant<std::int64_t*, int*, std::uint64_t*, double*, bool*, std::string*,
                              std::filesystem::path*, std::vector<std::int64_t>*,
                              std::vector<double>*, std::vector<std::string>*>;
  template <class T>
  void add(const std::string& key, T& value, const std::string& help, Rule rule = {}) {
    add_target(key, Target(&value), help, std::move(rule));
  }
  // Words without a dash, in order. At most one declaration.
  void positional(const std::string& name, std::vector<std::string>& values,
                  const std::string& help);
  // Keys of these INI sections belong to another program, which checks them.
  void leave_to_others(std::vector<std::string> sections);
  // On the command line the keys of this section also go without it, with dashes:
  // --landmarks-per-study for shard.landmarks_per_study.
  void flags_without_section(std::string section);

  // Returns false when the program should end with exit code 0 (--help, --dump-config printed,
  // --check-config found nothing wrong).
  // Throws Fault::Usage: unknown key (names the nearest), wrong type, out of range, missing file;
  // the message names FILE:LINE or the command line.
  bool parse(int argc, const char* const* argv);

  std::string help() const;
  std::string dump() const;  // resolved INI of the dotted keys, sections sorted as declared
  std::string dump_defaults() const;  // the same keys, as if nothing had been set
  std::vector<std::string> keys() const;
  bool was_set(const std::string& key) const;  // by file or command line
  const std::vector<std::filesystem::path>& config_files() const;
  // The words given with --config, --set and --section.key, to hand on to another program.
  std::vector<std::string> config_arguments() const;

 private:
  void add_target(const std::string& key, Target target, const std::string& help, Rule rule);
  struct State;
  std::unique_ptr<State> state_;
};

// The candidate with the smallest edit distance, or "" when none is near (distance > 1/3 of length,
// at least 2).
std::string nearest_word(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace homolog
