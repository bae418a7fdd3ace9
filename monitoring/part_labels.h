// What people read for the parts of a step, on the page and in the report alike.
#pragma once

#include <string>

namespace homolog::monitoring {

// "waiting for data" for "data_wait"; a part that is unknown here keeps its name.
std::string part_label(const std::string& part);

}  // namespace homolog::monitoring
