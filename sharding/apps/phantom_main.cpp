// homolog phantom: synthetic CT bodies with organ labels and true landmarks.
#include <cstdio>
#include <filesystem>

#include "base/options.h"
#include "base/progress.h"
#include "base/run_main.h"
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
    homolog::Progress progress("phantoms", plan.count, "bodies");
    homolog::phantom::write_phantoms(plan, out, homolog::import::write_volume,
                                     homolog::import::write_labels, [&] { progress.advance(); });
    progress.finish();
    std::printf("%lld phantoms in %s\nnext: homolog catalog %s --out catalog.jsonl\n",
                static_cast<long long>(plan.count), (out / "images").c_str(),
                (out / "images").c_str());
    return 0;
  });
}
