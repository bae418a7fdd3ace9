#include "train/resume.h"

#include <sstream>

#include "base/error.h"
#include "base/log.h"

namespace homolog::train {
namespace {

std::optional<Found> choose(const ResumeRequest& request, const RunFolder& folder) {
  const auto present = list_checkpoints(folder.checkpoints());
  if (request.how == "none") {
    if (!present.empty() && !request.overwrite) {
      throw Error(
          Fault::Usage,
          folder.path().string() + " already holds " + std::to_string(present.size()) +
              " checkpoints",
          "resume with --resume auto, choose another --run, or remove them with --overwrite");
    }
    folder.clear();
    return std::nullopt;
  }
  if (request.how == "exact") {
    if (request.from.empty() && present.empty()) {
      throw Error(Fault::Data, folder.checkpoints().string() + " holds no checkpoint",
                  "give --from CHECKPOINT, or --resume auto");
    }
    const auto exact = request.from.empty() ? present.back() : request.from;
    return Found{exact, verify_checkpoint(exact)};
  }
  std::vector<std::string> refused;
  auto found = newest_checkpoint(folder.checkpoints(), refused);
  for (const auto& reason : refused) log::warn("checkpoint refused", {{"reason", reason}});
  if (!found && !refused.empty()) log::warn("no whole checkpoint: training from the start");
  return found;
}

[[noreturn]] void differs(const std::string& what, const std::string& then,
                          const std::string& now) {
  throw Error(Fault::Usage,
              "cannot resume: " + what + " was '" + then + "', now it is '" + now + "'",
              "resume with the settings in the run's config.ini, or start another --run");
}

// Model, objective and data order must be the same; rates and lengths may change, and that is told.
void check_fit(const TrainState& stored, const TrainState& now) {
  if (stored.seed != now.seed)
    differs("data.seed", std::to_string(stored.seed), std::to_string(now.seed));
  if (stored.global_batch != now.global_batch) {
    differs("the global batch (data.batch * data.accumulate * workers)",
            std::to_string(stored.global_batch), std::to_string(now.global_batch));
  }
  for (const auto& [key, value] : now.identity) {
    const auto it = stored.identity.find(key);
    if (it != stored.identity.end() && it->second != value)
      differs("the " + key, it->second, value);
  }
  const auto before = flat_settings(stored.config);
  for (const auto& [key, value] : flat_settings(now.config)) {
    const auto it = before.find(key);
    const std::string then = it == before.end() ? "(absent)" : it->second;
    if (then == value) continue;
    if (key.starts_with("model.") || key.starts_with("objective.") || key == "optimizer.name")
      differs(key, then, value);
    if (key == "schedule.stop_after" ||
        !(key.starts_with("schedule.") || key.starts_with("optimizer.")))
      continue;
    log::warn("setting changed since the checkpoint",
              {{"key", key}, {"before", then}, {"now", value}});
  }
  if (stored.world != now.world) {
    log::warn("another number of workers: same order of samples, sums not bit-exact",
              {{"before", stored.world}, {"now", now.world}});
  }
}

TrainState load(const Found& found, const TrainState& fresh, Replica& replica) {
  check_fit(found.state, fresh);
  replica.load(found.folder);
  TrainState state = found.state;
  state.world = fresh.world;
  state.config = fresh.config;
  state.identity = fresh.identity;
  state.exported_prefix = fresh.exported_prefix;
  state.exported = fresh.exported;
  log::info("resuming", {{"checkpoint", found.folder.filename().string()}, {"step", state.step}});
  return state;
}

}  // namespace

TrainState resume(const ResumeRequest& request, const RunFolder& folder, const TrainState& fresh,
                  Replica& replica, comm::Communicator& communicator) {
  std::string told;
  TrainState state = fresh;
  if (communicator.rank().index == 0) {
    try {
      if (const auto found = choose(request, folder)) state = load(*found, fresh, replica);
      folder.trim_metrics(state.step);
      told = "S" + state_text(state);
    } catch (const Error& e) {
      told = "E" + std::to_string(static_cast<int>(e.fault())) + "\n" + e.summary() + "\x1f" +
             e.remedy();
    }
  }
  told = communicator.all_gather(told).front();
  if (told.starts_with("E")) {
    const auto line = told.find('\n'), split = told.find('\x1f');
    throw Error(static_cast<Fault>(std::stoi(told.substr(1, line - 1))),
                told.substr(line + 1, split - line - 1), told.substr(split + 1));
  }
  if (communicator.rank().index == 0) return state;
  state = state_from_text(told.substr(1));
  state.next_ids.clear();
  return state;
}

std::map<std::string, std::string> flat_settings(const std::string& ini) {
  std::map<std::string, std::string> values;
  std::istringstream in(ini);
  std::string section;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("[")) section = line.substr(1, line.find(']') - 1) + ".";
    const auto equals = line.find(" = ");
    if (equals != std::string::npos)
      values[section + line.substr(0, equals)] = line.substr(equals + 3);
  }
  return values;
}

}  // namespace homolog::train
