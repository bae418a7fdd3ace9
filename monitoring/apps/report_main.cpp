// homolog-report: what happened in a run, as text or JSON on stdout and as RUN/report.html.
#include <cstdio>
#include <optional>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/options.h"
#include "base/run_main.h"
#include "monitoring/report.h"

namespace {

int report(int argc, char** argv) {
  std::vector<std::string> runs;
  std::filesystem::path out;
  bool json = false;
  homolog::Options options("homolog report", "RUN [--json] [--out FILE]",
                           "Says what happened in a run: curves, where the time went, advice.\n"
                           "Text goes to stdout, the same with pictures to RUN/report.html.");
  options.positional("RUN", runs, "folder of the run");
  options.add("json", json, "print JSON in place of text");
  options.add("out", out, "the HTML file; empty: RUN/report.html");
  if (!options.parse(argc, argv)) return 0;
  if (runs.size() != 1) {
    throw homolog::Error(homolog::Fault::Usage, "give one run folder",
                         "as in: homolog report runs/demo");
  }
  const auto result = homolog::monitoring::read_report(runs.front());
  if (out.empty()) out = std::filesystem::path(runs.front()) / "report.html";
  // Somebody else's run may be readable alone: the text is shown all the same.
  std::optional<homolog::Error> unwritten;
  try {
    homolog::write_file_atomically(out, homolog::monitoring::as_html(result));
  } catch (const homolog::Error& e) {
    unwritten.emplace(e.fault(), e.summary(),
                      "give --out FILE in a folder where you may write, as in: --out report.html");
  }
  if (json) {
    auto answer = homolog::monitoring::as_json(result);
    answer["report"] = unwritten ? nlohmann::json(nullptr) : nlohmann::json(out.string());
    std::printf("%s\n", answer.dump(2).c_str());
  } else {
    std::printf("%s", homolog::monitoring::as_text(result).c_str());
    if (!unwritten) std::printf("\nwith curves: %s\n", out.c_str());
  }
  if (unwritten) throw *unwritten;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return homolog::run_main(argc, argv, "homolog-report", [&] { return report(argc, argv); });
}
