#include "base/own_host.h"

#include <unistd.h>

namespace homolog {

std::string own_host() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0) return "localhost";
  return name;
}

}  // namespace homolog
