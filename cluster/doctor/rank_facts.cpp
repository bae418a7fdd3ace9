#include "cluster/doctor/rank_facts.h"

#include <limits>
#include <nlohmann/json.hpp>

namespace homolog::doctor {
namespace {

// Error texts hold names of folders, which need not be UTF-8.
std::string dumped(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::string to_text(const RankFacts& f) {
  return dumped({{"rank", f.rank},
                 {"local_index", f.local_index},
                 {"host", f.host},
                 {"cpus", f.cpus},
                 {"threads", f.threads},
                 {"gpu", f.gpu},
                 {"gpu_name", f.gpu_name},
                 {"gpus_on_host", f.gpus_on_host},
                 {"open_files", f.open_files},
                 {"shm_size", f.shm_size},
                 {"shm_free", f.shm_free},
                 {"versions", f.versions}});
}

RankFacts facts_from_text(const std::string& text) {
  const auto json = nlohmann::json::parse(text);
  RankFacts f;
  json.at("rank").get_to(f.rank);
  json.at("local_index").get_to(f.local_index);
  json.at("host").get_to(f.host);
  json.at("cpus").get_to(f.cpus);
  json.at("threads").get_to(f.threads);
  json.at("gpu").get_to(f.gpu);
  json.at("gpu_name").get_to(f.gpu_name);
  json.at("gpus_on_host").get_to(f.gpus_on_host);
  json.at("open_files").get_to(f.open_files);
  json.at("shm_size").get_to(f.shm_size);
  json.at("shm_free").get_to(f.shm_free);
  json.at("versions").get_to(f.versions);
  return f;
}

double Measured::number(const std::string& key) const noexcept {
  const auto found = numbers.find(key);
  return found == numbers.end() ? std::numeric_limits<double>::quiet_NaN() : found->second;
}

std::string Measured::word(const std::string& key) const {
  const auto found = words.find(key);
  return found == words.end() ? "" : found->second;
}

std::string to_text(const Measured& m) {
  return dumped({{"error", m.error}, {"numbers", m.numbers}, {"words", m.words}});
}

Measured measured_from_text(const std::string& text) {
  const auto json = nlohmann::json::parse(text);
  Measured m;
  json.at("error").get_to(m.error);
  json.at("numbers").get_to(m.numbers);
  json.at("words").get_to(m.words);
  return m;
}

std::string name_of(const RankFacts& facts) {
  return "rank " + std::to_string(facts.rank) + " on host " + facts.host;
}

}  // namespace homolog::doctor
