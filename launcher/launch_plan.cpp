#include "launcher/launch_plan.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <numeric>
#include <set>
#include <sstream>

#include "base/error.h"

namespace homolog::launcher {
namespace {

std::string section_of_key(const std::string& key) {
  const auto dot = key.substr(0, key.find('=')).find('.');
  return dot == std::string::npos ? "" : key.substr(0, dot);
}

int choose_world(const LaunchRequest& request, const Machine& machine) {
  if (request.workers > 0) return request.workers;
  if (machine.allocation) return machine.allocation->tasks;
  if (!machine.hosts.empty()) {
    return std::accumulate(machine.hosts.begin(), machine.hosts.end(), 0,
                           [](int sum, const topology::Host& host) { return sum + host.slots; });
  }
  return std::max(1, machine.gpus);
}

std::filesystem::path choose_run(const LaunchRequest& request,
                                 const std::vector<std::string>& config_arguments) {
  if (!request.run.empty()) return request.run;
  for (std::size_t i = config_arguments.size(); i-- > 1;) {
    if (config_arguments[i - 1] == "--config") {
      return std::filesystem::path("runs") / std::filesystem::path(config_arguments[i]).stem();
    }
  }
  throw Error(Fault::Usage, "neither --run nor --config is given",
              "homolog launch --config configs/alice_nnformer.ini --run runs/NAME");
}

// "homolog-sam train" -> {".../homolog-sam", "train"}: a bare name lies beside this program.
std::vector<std::string> program_words(const std::string& text, const Machine& machine) {
  std::istringstream in(text.empty() ? "homolog-train" : text);
  std::vector<std::string> words{std::istream_iterator<std::string>(in), {}};
  if (words.empty()) throw Error(Fault::Usage, "--worker-program names no program");
  if (words[0].find('/') == std::string::npos) words[0] = machine.programs / words[0];
  return words;
}

std::vector<std::string> worker_words(const LaunchRequest& request,
                                      const std::filesystem::path& run,
                                      const std::vector<std::string>& config_arguments,
                                      const Machine& machine) {
  std::vector<std::string> words = {machine.programs / "homolog-launch", "--as-worker", run, "--"};
  const auto program = program_words(request.worker_program, machine);
  words.insert(words.end(), program.begin(), program.end());
  words.insert(words.end(), {"--run", run, "--resume", request.resume});
  if (!request.from.empty()) words.insert(words.end(), {"--from", request.from});
  if (!request.device.empty()) words.insert(words.end(), {"--device", request.device});
  if (request.overwrite) words.push_back("--overwrite");
  if (request.max_steps_this_run > 0) {
    words.insert(words.end(), {"--max-steps-this-run", std::to_string(request.max_steps_this_run)});
  }
  for (std::size_t i = 0; i + 1 < config_arguments.size(); i += 2) {
    // The launcher's own section has been checked here and means nothing to a worker.
    if (config_arguments[i] == "--set" && section_of_key(config_arguments[i + 1]) == "monitor")
      continue;
    words.insert(words.end(), {config_arguments[i], config_arguments[i + 1]});
  }
  return words;
}

std::vector<std::string> mpirun_words(const LaunchRequest& request, const Machine& machine,
                                      const WorldStart& start) {
  std::vector<std::string> words = {"mpirun"};
  if (machine.root) words.push_back("--allow-run-as-root");
  words.insert(words.end(), {"--quiet", "--oversubscribe", "--bind-to", "none", "-np",
                             std::to_string(start.world)});
  if (!request.hostfile.empty()) {
    words.insert(words.end(),
                 {"--hostfile", request.hostfile, "-x", "PATH", "-x", "LD_LIBRARY_PATH"});
  }
  for (const auto& [name, value] : start.environment) words.insert(words.end(), {"-x", name});
  return words;
}

std::string number(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

std::vector<std::string> monitor_words(const LaunchRequest& request, const Machine& machine,
                                       const LaunchPlan& plan) {
  std::vector<std::string> words;
  if (machine.allocation && machine.allocation->hosts.size() > 1) {
    const std::string nodes = std::to_string(machine.allocation->hosts.size());
    words = {"srun",
             "--overlap",
             "--mpi=none",
             "--nodes=" + nodes,
             "--ntasks=" + nodes,
             "--ntasks-per-node=1"};
  }
  words.insert(words.end(),
               {machine.programs / "homolog-monitor", "--run", plan.run, "--port",
                std::to_string(request.monitor.port), "--address", request.monitor.address,
                "--workers", std::to_string(plan.world), "--wait", number(request.monitor.wait)});
  // Without it the launcher ends the monitor, which meanwhile waits out a restart.
  if (request.monitor.linger != 0)
    words.insert(words.end(), {"--linger", number(request.monitor.linger)});
  return words;
}

// The worker's program with all its settings, to check them before anything is begun. A program of
// the user's own need not know how.
std::vector<std::string> check_words(const std::vector<std::string>& worker) {
  constexpr std::size_t kProgram = 4;  // after homolog-launch --as-worker RUN --
  std::vector<std::string> words(worker.begin() + kProgram, worker.end());
  if (!std::filesystem::path(words[0]).filename().string().starts_with("homolog-")) return {};
  words.push_back("--check-config");
  return words;
}

}  // namespace

void declare(Options& options, LaunchRequest& request) {
  options.add("run", request.run,
              "folder of the run (default: runs/NAME, after the last --config file)");
  options.add(
      "workers", request.workers,
      "workers in all; 0: the allocation's tasks, the host file's slots, one a GPU, else one",
      {.min = 0, .max = 65536});
  options.add("hostfile", request.hostfile, "hosts for mpirun, a line each: NAME slots=N");
  options.add("restarts", request.restarts,
              "start again from the last checkpoint after a fault of the machine, at most so often "
              "in a row without progress",
              {.min = 0, .max = 1000});
  options.add("srun-mpi", request.srun_mpi,
              "plug-in by which srun connects the workers; srun --mpi=list shows which there are; "
              "none: they find each other by themselves (cluster.bootstrap)");
  options.add("dry-run", request.dry_run, "print the commands and end");
  options.add(
      "worker-program", request.worker_program,
      "run this in place of homolog-train: a program and its first words, as \"homolog-sam train "
      "--catalog C\"; a bare name lies beside homolog-launch");
  options.add("resume", request.resume, "handed to the workers: auto, none or exact",
              {.choices = {"auto", "none", "exact"}});
  options.add("from", request.from, "handed to the workers: the checkpoint for --resume exact");
  options.add("overwrite", request.overwrite,
              "handed to the workers: with --resume none, remove this run's checkpoints");
  options.add("max-steps-this-run", request.max_steps_this_run,
              "handed to the workers: then checkpoint and end with exit code 75; 0: no limit",
              {.min = 0, .unit = "steps"});
  options.add("device", request.device, "handed to the workers: auto, cpu or cuda");
  options.add("monitor.enabled", request.monitor.enabled, "start the monitor, one a node");
  options.add("monitor.port", request.monitor.port, "TCP port of metrics and live page",
              {.min = 1, .max = 65535});
  options.add("monitor.address", request.monitor.address, "address it listens on; 0.0.0.0 for all");
  options.add("monitor.linger", request.monitor.linger,
              "how long the page stays after the run; 0: not at all, negative: until a signal",
              {.unit = "s"});
  options.add("monitor.wait", request.monitor.wait,
              "how long the monitor waits for the first worker; negative: for ever", {.unit = "s"});
}

std::vector<std::string> foreign_sections(const std::vector<std::string>& words) {
  std::set<std::string> found;
  const auto add_file = [&](const std::string& file) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
      const auto open = line.find_first_not_of(" \t");
      const auto close = line.find(']');
      if (open != std::string::npos && line[open] == '[' && close != std::string::npos) {
        found.insert(
            section_of_key(line.substr(open + 1, close - open - 1) + "."));  // [a.b] is a's
      }
    }
  };
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const std::string next = i + 1 < words.size() ? words[i + 1] : "";
    if (word == "--config")
      add_file(next);
    else if (word.starts_with("--config="))
      add_file(word.substr(9));
    else if (word == "--set")
      found.insert(section_of_key(next));
    else if (word.starts_with("--set="))
      found.insert(section_of_key(word.substr(6)));
    else if (word.starts_with("--"))
      found.insert(section_of_key(word.substr(2)));
  }
  found.erase("");
  found.erase("monitor");
  return {found.begin(), found.end()};
}

WorldStart plan_start(const LaunchRequest& request, const Machine& machine) {
  WorldStart start;
  start.world = choose_world(request, machine);
  const int hosts =
      std::max<int>(1, static_cast<int>(machine.allocation ? machine.allocation->hosts.size()
                                                           : machine.hosts.size()));
  const int a_host = (start.world + hosts - 1) / hosts;
  if (!machine.omp_threads_set) {
    const bool slurm_says = machine.allocation && machine.allocation->cores_per_task;
    const int threads =
        slurm_says ? *machine.allocation->cores_per_task : std::max(1, machine.cores / a_host);
    start.environment["OMP_NUM_THREADS"] = std::to_string(threads);
  }
  if (machine.allocation && request.hostfile.empty()) {
    start.starter = "srun";
    start.words = {"srun", "--mpi=" + request.srun_mpi, "--ntasks=" + std::to_string(start.world),
                   "--kill-on-bad-exit=1", "--cpu-bind=none"};
    if (const auto& cores = machine.allocation->cores_per_task)
      start.words.push_back("--cpus-per-task=" + std::to_string(*cores));
  } else if (start.world > 1 || !request.hostfile.empty()) {
    start.starter = "mpirun";
    start.words = mpirun_words(request, machine, start);
  }
  return start;
}

LaunchPlan plan_launch(const LaunchRequest& request,
                       const std::vector<std::string>& config_arguments, const Machine& machine) {
  if (request.overwrite && request.resume != "none")
    throw Error(Fault::Usage, "--overwrite goes with --resume none alone",
                "give both to start afresh, or leave --overwrite out to go on");
  LaunchPlan plan;
  plan.linger = request.monitor.linger;
  plan.run = choose_run(request, config_arguments);
  const WorldStart start = plan_start(request, machine);
  plan.world = start.world;
  plan.environment = start.environment;
  plan.restarts = request.restarts;
  const auto worker = worker_words(request, plan.run, config_arguments, machine);
  plan.workers = start.words;
  plan.starter = start.starter.empty() ? std::filesystem::path(worker[4]).filename().string()
                                       : start.starter;  // alone, without MPI
  plan.check = check_words(worker);
  plan.again_after_save = request.overwrite || !request.from.empty();
  LaunchRequest again = request;
  again.resume = "auto";
  again.from.clear();
  again.overwrite = false;
  const auto worker_again = worker_words(again, plan.run, config_arguments, machine);
  plan.workers_again = plan.workers;
  plan.workers_again.insert(plan.workers_again.end(), worker_again.begin(), worker_again.end());
  plan.workers.insert(plan.workers.end(), worker.begin(), worker.end());
  if (request.monitor.enabled) plan.monitor = monitor_words(request, machine, plan);
  return plan;
}

std::string shell_line(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) {
    if (!line.empty()) line += ' ';
    const bool plain =
        !word.empty() &&
        word.find_first_not_of(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=./:,+@%") ==
            std::string::npos;
    if (plain) {
      line += word;
      continue;
    }
    line += '\'';
    for (const char c : word) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += '\'';
  }
  return line;
}

}  // namespace homolog::launcher
