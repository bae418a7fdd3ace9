#include "monitoring/monitor.h"

#include <prometheus/text_serializer.h>

#include <charconv>
#include <chrono>
#include <memory>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "monitoring/board_collector.h"
#include "monitoring/page_files.h"

namespace homolog::monitoring {
namespace {

constexpr auto kTick = std::chrono::milliseconds(100);
constexpr double kSampleEvery = 1;  // s

std::int64_t integer(const Query& query, const char* key, std::int64_t otherwise) {
  const auto found = query.find(key);
  if (found == query.end()) return otherwise;
  std::int64_t value = otherwise;
  std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
  return value;
}

std::string type_of(std::string_view name) {
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  if (name.ends_with(".svg")) return "image/svg+xml";
  return "text/html; charset=utf-8";
}

Response json_response(const nlohmann::json& value) {
  return {200, "application/json",
          value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}

// Decides when the sidecar may go: workers were seen, and none has lived for `linger` seconds.
// Somebody who looks at a run that is over (no workers expected, none alive) ends it by hand.
class Ending {
 public:
  explicit Ending(const MonitorPlan& plan) : plan_(plan) {}
  bool due() {
    const auto workers = read_workers(plan_.run.string());
    const bool over = all_over(workers);
    seen_ = seen_ || (plan_.workers > 0 ? !workers.empty() : !over);
    if (!seen_) return plan_.workers > 0 && plan_.wait >= 0 && waiting_.seconds() > plan_.wait;
    if (!over) over_.lap();
    return plan_.linger >= 0 && over_.seconds() > plan_.linger;
  }
  bool seen() const { return seen_; }

 private:
  const MonitorPlan& plan_;
  bool seen_ = false;
  Stopwatch waiting_, over_;
};

}  // namespace

void declare(Options& o, MonitorPlan& p) {
  o.add("run", p.run, "folder of the run", {.required = true});
  o.add("port", p.port, "port of metrics and page; 0 takes a free one", {.min = 0, .max = 65535});
  o.add("address", p.address,
        "IPv4 address to listen on; 0.0.0.0 shows the page to the whole network");
  o.add("workers", p.workers,
        "workers that the run will have in all, given by the launcher; 0: show whatever is there",
        {.min = 0, .max = 4096});
  o.add("linger", p.linger, "how long to stay after the run has ended; negative: until a signal",
        {.unit = "s"});
  o.add("wait", p.wait, "how long to wait for the first worker; negative: for ever", {.unit = "s"});
}

std::map<std::string, Handler> routes(RunWatch& watch) {
  std::map<std::string, Handler> table;
  for (const PageFile& file : page_files()) {
    const Handler handler = [file](const Query&) {
      return Response{200, type_of(file.name), std::string(file.text)};
    };
    table["/" + std::string(file.name)] = handler;
    if (file.name == "index.html") table["/"] = handler;
  }
  const auto collector = std::make_shared<BoardCollector>(watch.folder());
  table["/metrics"] = [collector](const Query&) {
    return Response{200, "text/plain; version=0.0.4; charset=utf-8",
                    prometheus::TextSerializer().Serialize(collector->Collect())};
  };
  table["/data/run.json"] = [&watch](const Query&) { return json_response(watch.run_json()); };
  table["/data/metrics.json"] = [&watch](const Query& query) {
    return json_response(
        watch.metrics_json(integer(query, "since", -1), integer(query, "generation", -1)));
  };
  table["/healthz"] = [](const Query&) { return Response{200, "text/plain", "ok\n"}; };
  return table;
}

void serve(const MonitorPlan& plan, const std::function<bool()>& stop,
           const std::function<void(int)>& ready) {
  const std::string run = plan.run.string();
  if (!std::filesystem::is_directory(plan.run) && plan.workers == 0 &&
      board::local_boards(run).empty()) {
    throw Error(Fault::Data, "no run at " + run,
                "give --run the folder of a run, as in --run runs/demo");
  }
  if (plan.workers > 0)
    board::remove_dead_boards(run);  // of an earlier start: not ours to wait for or to show
  RunWatch watch(plan.run);
  watch.sample();
  const HttpServer server(plan.address, plan.port, routes(watch));
  ready(server.port());
  Ending ending(plan);
  Stopwatch since_sample;
  while (!stop()) {
    std::this_thread::sleep_for(kTick);
    if (since_sample.seconds() < kSampleEvery) continue;
    since_sample.lap();
    watch.sample();
    if (ending.due()) {
      log::info(ending.seen() ? "the run has ended" : "no worker appeared", {{"run", run}});
      board::remove_dead_boards(run);
      return;
    }
  }
  // Ended by the launcher: nobody will look at the last state of the dead any more.
  if (plan.workers > 0) board::remove_dead_boards(run);
}

}  // namespace homolog::monitoring
