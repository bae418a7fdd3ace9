// homolog-monitor: the sidecar. Prometheus metrics at /metrics and the live page at /.
#include <sys/resource.h>

#include <cstdio>

#include "base/run_main.h"
#include "base/stop_signal.h"
#include "monitoring/monitor.h"

int main(int argc, char** argv) {
  return homolog::run_main(argc, argv, "homolog-monitor", [&] {
    homolog::monitoring::MonitorPlan plan;
    homolog::Options options(
        "homolog monitor", "--run RUN [--port 9400]",
        "Serves a run's Prometheus metrics (/metrics) and its live page (/). Only reads; ends by\n"
        "itself after the run. SIGTERM or Ctrl-C end it at once.");
    declare(options, plan);
    if (!options.parse(argc, argv)) return 0;
    homolog::listen_for_stop_signals();
    setpriority(PRIO_PROCESS, 0, 10);  // training goes first
    homolog::monitoring::serve(
        plan, [] { return homolog::stop_signals_received() > 0; },
        [&](int port) {
          const char* host = plan.address == "0.0.0.0" ? "localhost" : plan.address.c_str();
          std::printf("live page http://%s:%d/  metrics http://%s:%d/metrics\n", host, port, host,
                      port);
          std::fflush(stdout);
        });
    return 0;
  });
}
