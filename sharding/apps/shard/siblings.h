// Further processes of this program on this host, each with a part of its own.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "sharding/build_part.h"

namespace homolog {

class Siblings {
 public:
  // Starts parts 1 .. workers-1 of the `workers` that `own` stands for, with this program's
  // arguments and OMP_NUM_THREADS=threads. They end with this process, however it ends.
  // Throws Fault::Environment.
  Siblings(const std::vector<std::string>& arguments, const shard::Part& own, std::size_t workers,
           int threads);
  ~Siblings();  // asks those that run to stop, and waits
  Siblings(const Siblings&) = delete;
  // Waits for their end and warns about those that failed: others did their work.
  void join();

 private:
  struct Sibling {
    shard::Part part;
    pid_t pid = 0;
    std::atomic<bool> running{true};
    int status = 0;
    std::jthread waiter;  // at once, so that a dead one's claims are known as such
  };
  void start(const std::vector<std::string>& arguments, const shard::Part& part, int threads);
  std::deque<Sibling> siblings_;
};

// `arguments` without --workers and --part.
std::vector<std::string> shared_arguments(int argc, char** argv);

}  // namespace homolog
