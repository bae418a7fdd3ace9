// Writes a set of phantoms. A body depends on (seed, index) alone, so threads take bodies as they
// come.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/stop_signal.h"
#include "sharding/phantom/phantom.h"

namespace homolog::phantom {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

void make_folder(const fs::path& folder) {
  std::error_code code;
  fs::create_directories(folder, code);
  if (code || !fs::is_directory(folder)) {
    throw Error(Fault::Environment,
                "cannot make the folder " + folder.string() + (code ? ": " + code.message() : ""),
                "check that its parent is a folder and writable, or give another --out");
  }
}

bool is_body(const std::string& name) {
  return name.starts_with("phantom-") && name.ends_with(".nii.gz");
}

// A set of another seed or count must not mix with this one: the catalogue would take both. What a
// run left that was stopped has no landmarks.json: its bodies go, once no other file was found.
void clear_unfinished_set(const fs::path& out) {
  std::vector<fs::path> bodies;
  for (const char* part : {"images", "labels"}) {
    const fs::path folder = out / part;
    if (!fs::is_directory(folder)) continue;
    remove_leftovers(folder, is_body);
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (fs::exists(out / "landmarks.json") || !is_body(entry.path().filename().string()))
        throw Error(Fault::Usage, folder.string() + " already holds files",
                    "remove the older set, or give another --out");
      bodies.push_back(entry.path());
    }
  }
  for (const fs::path& body : bodies) fs::remove(body);
}

void stop_if_asked(const fs::path& out) {
  homolog::stop_if_asked("the set in " + out.string() + " is not complete",
                         "run the same command again: it makes the set anew");
}

Json labels_json() {
  Json labels = Json::object();
  for (int i = 0; i < kOrgans; ++i) labels[std::to_string(i)] = facts(static_cast<Organ>(i)).name;
  return Json{{"version", 1}, {"labels", labels}};
}

double rounded(double mm) { return std::round(mm * 1e4) / 1e4; }

Json places_json(const std::vector<std::optional<Point3>>& places) {
  Json list = Json::array();
  for (const auto& p : places)
    list.push_back(p ? Json{rounded(p->x), rounded(p->y), rounded(p->z)} : Json(nullptr));
  return list;
}

Json landmarks_json(const PhantomPlan& plan, const std::vector<Landmark>& landmarks) {
  Json points = Json::array();
  for (std::size_t i = 0; i < landmarks.size(); ++i) {
    const Point3& p = landmarks[i].at;
    points.push_back({{"id", i},
                      {"organ", facts(landmarks[i].organ).name},
                      {"template", {rounded(p.x), rounded(p.y), rounded(p.z)}}});
  }
  return Json{
      {"version", 1}, {"seed", plan.seed}, {"deformation", plan.deformation}, {"points", points}};
}

// Runs work(0 .. count-1) on `jobs` threads; after a failure no new work starts, the first one is
// thrown.
void in_parallel(std::int64_t count, std::int64_t jobs,
                 const std::function<void(std::int64_t)>& work) {
  std::atomic<std::int64_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto run = [&] {
    for (std::int64_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
        next = count;
      }
    }
  };
  std::vector<std::jthread> threads;
  for (std::int64_t j = 1; j < std::min(jobs, count); ++j) threads.emplace_back(run);
  run();
  threads.clear();  // joins
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

void declare(Options& options, PhantomPlan& plan) {
  options.add("count", plan.count, "bodies to make", {.min = 1, .max = 9999});
  options.add("seed", plan.seed, "body i of a seed is the same whatever --count and --jobs are");
  options.add("spacing", plan.spacing, "voxel edge", {.min = 0.5, .max = 20, .unit = "mm"});
  options.add("deformation", plan.deformation,
              "1: smooth displacement of 10 mm RMS and organ jitter of 5 mm per axis",
              {.min = 0, .max = 2});
  options.add("landmarks", plan.landmarks, "points with known homologs in every body",
              {.min = 0, .max = 1e6});
  options.add("jobs", plan.jobs, "threads", {.min = 1, .max = 1024});
  options.add("labels", plan.labels, "also write the organ labels");
}

void write_phantoms(const PhantomPlan& plan, const fs::path& out, const VolumeWriter& write_volume,
                    const LabelWriter& write_labels, const std::function<void()>& on_body) {
  if (plan.count < 1)
    throw Error(Fault::Usage, "count " + std::to_string(plan.count) + ": no body to make",
                "give at least 1");
  if (plan.landmarks < 0)
    throw Error(Fault::Usage, "landmarks " + std::to_string(plan.landmarks) + " is negative",
                "give 0 or more");
  make_folder(out / "images");
  clear_unfinished_set(out);
  if (plan.labels) {
    make_folder(out / "labels");
    write_file_atomically(out / "labels.json", labels_json().dump(1) + "\n");
  }
  const std::vector<Landmark> landmarks = draw_landmarks(plan.seed, plan.landmarks);
  struct Made {
    std::string id, content;
    Json places;
  };
  std::vector<Made> made(static_cast<std::size_t>(plan.count));
  in_parallel(plan.count, plan.jobs, [&](std::int64_t i) {
    stop_if_asked(out);
    const Body body(plan.seed, static_cast<std::uint64_t>(i), plan.deformation);
    const Rendered rendered = render(body, plan.spacing);
    const std::string content = write_volume(rendered.ct, out / "images" / (body.id() + ".nii.gz"));
    if (plan.labels)
      write_labels(rendered.ct.grid, rendered.labels, out / "labels" / (body.id() + ".nii.gz"));
    made[static_cast<std::size_t>(i)] = {body.id(), content,
                                         places_json(place_landmarks(body, landmarks))};
    on_body();
  });
  Json file = landmarks_json(plan, landmarks);
  file["bodies"] = Json::object();
  file["content"] = Json::object();
  for (const Made& body : made) {
    file["bodies"][body.id] = body.places;
    file["content"][body.id] = body.content;
  }
  write_file_atomically(out / "landmarks.json", file.dump() + "\n");
}

}  // namespace homolog::phantom
