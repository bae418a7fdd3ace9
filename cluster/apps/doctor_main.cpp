// homolog-doctor: is this machine, allocation, network fit to train on? Starts itself as a world
// where one is asked for, then climbs the ladder of rungs.
#include <cstdio>

#include "base/error.h"
#include "base/open_files.h"
#include "base/options.h"
#include "base/run_main.h"
#include "base/stop_signal.h"
#include "cluster/apps/doctor/ladder.h"
#include "cluster/apps/doctor/rungs.h"
#include "cluster/topology/environment.h"
#include "launcher/own_world.h"

namespace {

using namespace homolog;
constexpr int kRungs = 12;

// A world that does not form is a rung like the others.
std::unique_ptr<comm::Communicator> join(const doctor::DoctorPlan& plan) {
  const auto place = topology::read_place(topology::process_environment());
  try {
    return comm::connect(
        {.backend = place.size > 1 ? "mpi" : "solo", .timeout_s = plan.collective_limit()});
  } catch (const Error& e) {
    doctor::Rung rung{
        .name = "joining the world", .measured = "broke off", .findings = {}, .remedy = {}};
    rung.find(doctor::Verdict::Failed, e.summary(), e.remedy());
    if (place.index != 0) throw Error(Fault::Environment, e.summary());
    std::printf("%s\n",
                plan.json ? doctor::json_of({rung}, {}).c_str() : doctor::text_of(rung).c_str());
    return nullptr;
  }
}

int body(int argc, char** argv) {
  doctor::DoctorPlan plan;
  launcher::LaunchRequest request;
  Options options("homolog doctor", "[--workers N] [--store DIR] [--runs DIR] [--quick] [--json]",
                  "Is this machine, allocation, network fit to train on? Measures rung by rung, "
                  "names the rung that\nfails and the rank that is slow. Alone, with --workers, or "
                  "under mpirun and srun. Exit code 0: fit;\n4: a rung failed. Writes nothing that "
                  "stays.");
  launcher::declare_world(options, request);
  options.add("store", plan.store, "folder of the pair store: its shards are read, cold");
  options.add("runs", plan.runs,
              "folder where runs lie: a nameless file is written, synced and read back (default: "
              "runs, else this folder)");
  options.add("quick", plan.quick, "smaller and shorter: some 5 s in place of some 20");
  options.add("json", plan.json, "print one JSON object in place of the lines");
  options.add("limit", plan.limit, "time limit of a rung", {.min = 1, .max = 3600, .unit = "s"});
  if (!options.parse(argc, argv)) return 0;
  if (plan.runs.empty()) plan.runs = std::filesystem::is_directory("runs") ? "runs" : ".";
  const double most = kRungs * 2 * plan.collective_limit();
  if (const auto code = launcher::run_as_world(request, {argv + 1, argv + argc}, most))
    return *code;

  allow_many_open_files();
  listen_for_stop_signals();
  auto world = join(plan);
  if (world == nullptr) return exit_code(Fault::Environment);
  doctor::Ladder ladder(std::move(world), plan);
  doctor::climb_machine(ladder);
  doctor::climb_network(ladder);
  doctor::climb_compute(ladder);
  doctor::climb_disks(ladder);
  doctor::climb_nccl(ladder);
  return ladder.finish();
}

}  // namespace

int main(int argc, char** argv) {
  return homolog::run_main(argc, argv, "homolog-doctor", [&] { return body(argc, argv); });
}
