#include "cluster/topology/rendezvous.h"

#include <charconv>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "cluster/topology/environment.h"
#include "cluster/topology/hosts.h"

namespace homolog::topology {
namespace {

constexpr const char* kHowToSay =
    "give cluster.rendezvous = HOST:PORT, a port that is free on the host of rank 0";

// Below the ports that Linux gives to outgoing connections (32768 on).
constexpr std::int64_t kFirstPort = 15000, kPorts = 15000;

int port_in(std::string_view text, const std::string& whole) {
  int port = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (code != std::errc() || end != text.data() + text.size() || port < 1 || port > 65535) {
    throw Error(Fault::Usage, whole + ": '" + std::string(text) + "' is no port (1 to 65535)",
                kHowToSay);
  }
  return port;
}

// "n1:29400" or "[fe80::1]:29400"; `name` says where it stands.
void read_host_and_port(const std::string& text, const std::string& name, Rendezvous& where) {
  const std::string whole = name + " = " + text;
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0)
    throw Error(Fault::Usage, whole + " is not HOST:PORT", kHowToSay);
  std::string host = text.substr(0, colon);
  if (host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string::npos)
    throw Error(Fault::Usage, whole + ": an IPv6 address needs brackets, as [fd00::1]:29400");
  if (host.empty() || host.find('/') != std::string::npos)
    throw Error(Fault::Usage, whole + " is not HOST:PORT", kHowToSay);
  where.host = host;
  where.port = port_in(text.substr(colon + 1), whole);
}

std::int64_t digits_of(const std::string& text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Tasks of one step agree without a word; steps and jobs beside it get other ports.
void derive_from_step(const Environment& environment, Rendezvous& where) {
  auto list = environment("SLURM_STEP_NODELIST");
  if (!list) list = environment("SLURM_JOB_NODELIST");
  const auto job = environment("SLURM_JOB_ID");
  if (job && !list)
    throw Error(
        Fault::Environment,
        "srun started this worker without PMIx, and no SLURM_JOB_NODELIST says where rank 0 is",
        pmix_remedy() + ", with cluster.rendezvous");
  if (!list || !job)
    throw Error(Fault::Usage, "cluster.bootstrap = tcp: nothing says where rank 0 is", kHowToSay);
  where.host = expand_host_list(*list).front();
  const std::int64_t step = digits_of(environment("SLURM_STEP_ID").value_or("0"));
  where.port = static_cast<int>(kFirstPort + (digits_of(*job) * 16 + step) % kPorts);
}

std::string world_id(const Environment& environment) {
  if (const auto given = environment("HOMOLOG_WORLD_ID")) return *given;
  const auto job = environment("SLURM_JOB_ID"), step = environment("SLURM_STEP_ID");
  if (job && step)
    return "SLURM " + *job + "." + *step + "." + environment("SLURM_RESTART_COUNT").value_or("0");
  return environment("TORCHELASTIC_RUN_ID").value_or("");
}

}  // namespace

std::string Rendezvous::text() const {
  if (!file.empty()) return "the file " + file.string();
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Rendezvous choose_rendezvous(const std::string& kind, const std::string& given,
                             const Environment& environment) {
  Rendezvous where;
  where.world_id = world_id(environment);
  if (kind == "file") {
    if (given.empty()) {
      throw Error(Fault::Usage, "cluster.bootstrap = file: no file is named",
                  "give cluster.rendezvous = a path on a disk that all hosts share");
    }
    where.file = given;
    return where;
  }
  if (!given.empty()) {
    read_host_and_port(given, "cluster.rendezvous", where);
    return where;
  }
  const auto host = environment("MASTER_ADDR"), port = environment("MASTER_PORT");
  if (host && port) {
    where.host = *host;
    where.port = port_in(*port, "MASTER_PORT = " + *port);
  } else if (host || port) {
    throw Error(Fault::Usage,
                std::string(host ? "MASTER_ADDR" : "MASTER_PORT") + " is set, " +
                    (host ? "MASTER_PORT" : "MASTER_ADDR") + " is not",
                kHowToSay);
  } else {
    derive_from_step(environment, where);
  }
  return where;
}

}  // namespace homolog::topology
