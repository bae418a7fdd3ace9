// What a rank knows of itself before anything is measured, and what it measured in one rung; both
// travel to the other ranks as text.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace homolog::doctor {

struct RankFacts {
  int rank = 0, local_index = 0;
  std::string host;
  std::vector<int> cpus;                        // that the process may run on
  int threads = 1;                              // that it computes with
  std::string gpu, gpu_name;                    // PCI address; "": none
  int gpus_on_host = 0;                         // that the driver lists
  std::int64_t open_files = 0;                  // hard limit; 0: no limit
  std::uint64_t shm_size = 0, shm_free = 0;     // of /dev/shm, bytes
  std::map<std::string, std::string> versions;  // "homolog", "torch", "nccl", "mpi", "driver"
};
std::string to_text(const RankFacts& facts);
RankFacts facts_from_text(const std::string& text);

// What one rank measured, or why it could not.
struct Measured {
  std::string error;
  std::map<std::string, double> numbers;
  std::map<std::string, std::string> words = {};

  double number(const std::string& key) const noexcept;  // NaN without
  std::string word(const std::string& key) const;        // "" without
};
std::string to_text(const Measured& measured);
Measured measured_from_text(const std::string& text);

// "rank 2 on host n1"
std::string name_of(const RankFacts& facts);

}  // namespace homolog::doctor
