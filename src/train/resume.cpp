#include "train/resume.h"

#include <limits>
#include <set>

#include "base/error.h"
#include "base/log.h"
#include "base/step_folders.h"
#include "train/on_first.h"

namespace homolog::train {
namespace {

namespace fs = std::filesystem;

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
  if (!found && !refused.empty()) {
    std::string text = folder.checkpoints().string() + " holds checkpoints, none of them whole:";
    for (const auto& reason : refused) text += "\n    " + reason;
    throw Error(Fault::Data, text,
                "copy a whole one back, or start afresh with --resume none --overwrite");
  }
  for (const auto& reason : refused) log::warn("checkpoint refused", {{"reason", reason}});
  return found;
}

fs::path abandoned_name(const fs::path& folder) {
  const std::string base =
      (folder.parent_path() / ("abandoned-" + folder.filename().string())).string();
  fs::path name = base;
  for (int i = 2; fs::exists(fs::symlink_status(name)); ++i) name = base + "-" + std::to_string(i);
  return name;
}

// True: `folder` holds the weights that `state` holds for the best.
bool is_best(const fs::path& folder, const TrainState& state) try {
  const TrainState there = read_manifest(folder);
  return there.step == state.best_step && there.best_step == state.best_step &&
         there.best_validation == state.best_validation;
} catch (const Error&) {
  return false;  // gone or damaged
}

// The link `best` again on the checkpoint that `state` holds for the best. Where that is gone or
// not known, the next validation sets it.
void mend_best(const fs::path& checkpoints, TrainState& state) {
  const fs::path link = checkpoints / "best";
  if (fs::exists(link)) return;
  fs::remove(link);  // where it dangles
  const fs::path name = checkpoint_name(state.best_step);
  if (state.best_step >= 0 && is_best(checkpoints / name, state)) {
    fs::create_directory_symlink(name, link);
    return;
  }
  state.best_validation = std::numeric_limits<double>::infinity();
  state.best_step = -1;
}

// Checkpoints beyond the step that training goes on from, and another one of that step, are of a
// branch that is left here. Under their names the next resume would take them for the newest, and
// retention would keep them alone.
void leave_branch(const fs::path& taken, const fs::path& checkpoints, TrainState& state) try {
  std::string names;
  for (const StepFolder& folder : step_folders(checkpoints)) {
    if (folder.step < state.step || fs::equivalent(folder.path, taken)) continue;
    const fs::path aside = abandoned_name(folder.path);
    fs::rename(folder.path, aside);
    names += (names.empty() ? "" : " ") + aside.filename().string();
  }
  mend_best(checkpoints, state);
  if (names.empty()) return;
  log::warn("checkpoints of another branch put aside: training goes on without them",
            {{"step", state.step}, {"kept_as", names}});
} catch (const fs::filesystem_error& e) {
  throw Error(Fault::Environment, std::string("cannot put other checkpoints aside: ") + e.what(),
              "check that the run's folder can be written");
}

[[noreturn]] void differs(const std::string& what, const std::string& then,
                          const std::string& now) {
  throw Error(Fault::Usage,
              "cannot resume: " + what + " was '" + then + "', now it is '" + now + "'",
              "resume with the settings in the run's config.ini, or start another --run");
}

// Where the data lie and how they are fetched, not what they are; the store's hash is in
// `identity`.
bool is_operational(const std::string& key) {
  static const std::set<std::string> keys = {
      "data.store",     "data.threads",           "data.ahead",  "data.read_timeout_s",
      "data.cache_mib", "data.bad_record_budget", "data.staged", "data.page_cache"};
  return keys.contains(key);
}

bool is_fixed(const std::string& key) {
  if (key == "model.weights") return false;  // where the first step started; not read again
  return key.starts_with("model.") || key.starts_with("objective.") || key == "optimizer.name" ||
         key == "cluster.precision" ||  // the curve would bend there unseen
         key == "data.order_block" || key == "data.order_mixed" ||  // pairs would come twice
         key == "data.patches_per_volume";  // the cursor counts in epochs of this length
}

bool is_told(const std::string& key) {
  return key.starts_with("schedule.") || key.starts_with("optimizer.") ||
         (key.starts_with("data.") && !is_operational(key));
}

using Settings = std::map<std::string, std::string>;

// An option of a network or objective that is not the chosen one: "model.vit.patch" beside
// nnFormer.
bool is_idle(const std::string& key, const Settings& identity) {
  const auto idle = [&](const std::string& section, const char* chosen) {
    const auto dot = key.find('.', section.size());
    const auto it = identity.find(chosen);
    return key.starts_with(section) && dot != std::string::npos && it != identity.end() &&
           key.substr(section.size(), dot - section.size()) != it->second;
  };
  return idle("model.", "backbone") || idle("objective.", "objective");
}

void check_settings(const Settings& before, const Settings& now, const Settings& defaults,
                    const Settings& identity) {
  for (const auto& [key, value] : now) {
    const auto stored = before.find(key), usual = defaults.find(key);
    const std::string then = stored != before.end()    ? stored->second
                             : usual != defaults.end() ? usual->second
                                                       : "(absent)";
    if (then == value || is_idle(key, identity)) continue;
    if (is_fixed(key)) differs(key, then, value);
    if (is_told(key))
      log::warn("setting changed since the checkpoint",
                {{"key", key}, {"before", then}, {"now", value}});
  }
}

// Model, objective and data order must be the same; rates, lengths and what is done to the data may
// change, and that is told.
void check_fit(const TrainState& stored, const TrainState& now, const std::string& defaults) {
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
  check_settings(flat_settings(stored.config), flat_settings(now.config), flat_settings(defaults),
                 now.identity);
  if (stored.world != now.world) {
    log::warn("another number of workers: same order of samples, sums not bit-exact",
              {{"before", stored.world}, {"now", now.world}});
  }
}

// Weights to start from are not read again: the record keeps those that the first step had.
std::string with_first_weights(const std::string& config, const std::string& stored) {
  constexpr const char* kKey = "model.weights";
  const Settings before = flat_settings(stored), settings = flat_settings(config);
  const auto then = before.find(kKey), now = settings.find(kKey);
  const std::string first = then == before.end() ? "" : then->second;
  if (now == settings.end() || now->second == first) return config;
  if (!now->second.empty())
    log::warn("model.weights is ignored: the run goes on from its checkpoint",
              {{"given", now->second}, {"started_from", first.empty() ? "random" : first}});
  return with_setting(config, kKey, first);
}

TrainState load(const Found& found, const fs::path& checkpoints, const TrainState& fresh,
                const std::string& defaults, Replica& replica) {
  check_fit(found.state, fresh, defaults);
  replica.load(found.folder);
  TrainState state = found.state;
  leave_branch(found.folder, checkpoints, state);
  state.world = fresh.world;
  state.config = with_first_weights(fresh.config, found.state.config);
  state.identity.insert(fresh.identity.begin(), fresh.identity.end());  // equal, or newer keys
  state.monai = fresh.monai;
  state.exported_prefix = fresh.exported_prefix;
  state.exported = fresh.exported;
  log::info("resuming", {{"checkpoint", found.folder.filename().string()}, {"step", state.step}});
  return state;
}

}  // namespace

TrainState resume(const ResumeRequest& request, const RunFolder& folder, const TrainState& fresh,
                  Replica& replica, comm::Communicator& communicator) {
  TrainState state = fresh;
  const std::string told = on_first(communicator, [&] {
    if (const auto found = choose(request, folder))
      state = load(*found, folder.checkpoints(), fresh, request.defaults, replica);
    folder.trim_metrics(state.step);
    return state_text(state);
  });
  if (communicator.rank().index == 0) return state;
  state = state_from_text(told);
  state.next_ids.clear();
  return state;
}

}  // namespace homolog::train
