// Names of hosts: SLURM's compressed lists and host files. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace homolog::topology {

struct Host {
  std::string name;
  int slots = 1;  // workers that fit; a GPU each, or what the user says
  bool operator==(const Host&) const = default;
};

// "n[1-3,07-08],m4" -> n1 n2 n3 n07 n08 m4. Several brackets in one name multiply, the last one
// fastest. Throws Fault::Usage naming the text and the place: unbalanced bracket, reversed range,
// empty name, or more than 65536 hosts.
std::vector<std::string> expand_host_list(std::string_view text);

// SLURM_TASKS_PER_NODE: "2(x3),1" -> 2 2 2 1. Throws Fault::Usage.
std::vector<int> expand_task_counts(std::string_view text);

// Lines "NAME [slots=N]" or "NAME:N"; '#' starts a comment. Repeated names add their slots, as
// mpirun does. Throws Fault::Usage naming `where` and the line.
std::vector<Host> parse_host_file(std::string_view text, const std::string& where);

}  // namespace homolog::topology
