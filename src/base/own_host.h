// The name of this machine, as it stands in locks, temporary names and records.
#pragma once

#include <string>

namespace homolog {

std::string own_host();  // as gethostname() gives it

}  // namespace homolog
