// homolog phantom: synthetic CT bodies with organ labels and true landmarks.
#include <cstdio>
#include <filesystem>

#include "base/options.h"
#include "base/progress.h"
#include "base/run_main.h"
#include "base/stop_signal.h"
#include "sharding/import/content.h"
#include "sharding/import/load.h"
#include "sharding/phantom/phantom.h"

int main(int argc, char** argv) {
  return homolog::run_main(argc, argv, "homolog phantom", [&] {
    homolog::phantom::PhantomPlan plan;
    std::filesystem::path out;
    homolog::Options options("homolog phantom", "--out DIR --count N --seed S",
                             "Make synthetic CT bodies: DIR/images, DIR/labels, "
                             "DIR/landmarks.json. Catalogue DIR/images.");
    options.add("out", out, "folder to write to", {.required = true});
    homolog::phantom::declare(options, plan);
    if (!options.parse(argc, argv)) return 0;
    homolog::listen_for_stop_signals();
    homolog::Progress progress("phantoms", plan.count, "bodies");
    const auto write = [](const homolog::Volume& volume, const std::filesystem::path& file) {
      homolog::import::write_volume(volume, file);
      return homolog::import::content_hash(volume);
    };
    homolog::phantom::write_phantoms(plan, out, write, homolog::import::write_labels,
                                     [&] { progress.advance(); });
    progress.finish();
    std::printf("%lld %s in %s\nnext: homolog catalog %s --out catalog.jsonl\n",
                static_cast<long long>(plan.count), plan.count == 1 ? "phantom" : "phantoms",
                (out / "images").c_str(), (out / "images").c_str());
    return 0;
  });
}
