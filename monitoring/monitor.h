// The sidecar of one machine: serves metrics and page of a run's local workers until the run ends.
// It only reads; nothing that it does or fails to do reaches the workers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "base/options.h"
#include "monitoring/http_server.h"
#include "monitoring/run_watch.h"

namespace homolog::monitoring {

struct MonitorPlan {
  std::filesystem::path run;
  std::string address = "127.0.0.1";
  int port = 9400;
  int workers = 0;     // that the run will have, in all; 0: show whatever is there
  double linger = 30;  // s after the end of the run; negative: until a signal
  double wait = 900;   // s for the first worker
};
void declare(Options& options, MonitorPlan& plan);

// "/" and the page's files, "/metrics", "/data/run.json", "/data/metrics.json", "/healthz".
std::map<std::string, Handler> routes(RunWatch& watch);

// Serves until the run has ended for `linger` seconds or stop() is true. Calls `ready` with the
// port. Throws Fault::Data when the run's folder is missing and no worker is expected.
void serve(const MonitorPlan& plan, const std::function<bool()>& stop,
           const std::function<void(int)>& ready);

}  // namespace homolog::monitoring
