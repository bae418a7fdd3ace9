// The commands of homolog-bench, and what they share.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cluster/comm/communicator.h"

namespace homolog::bench {

// Each is handed argv from its own name on. Exit codes.
int run_step(int argc, char** argv);
int run_all_reduce(int argc, char** argv);
int run_update(int argc, char** argv);

// Lines of equal width: right-aligned but for the first column.
std::string table(const std::vector<std::vector<std::string>>& rows);

// "12.3": `digits` significant digits, never an exponent.
std::string digits(double value, int digits = 3);

}  // namespace homolog::bench
