#include "cluster/comm/versions.h"

#include <dlfcn.h>
#include <mpi.h>

namespace homolog::comm {

std::string mpi_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  if (MPI_Get_library_version(text, &length) != MPI_SUCCESS) return "";
  const std::string version(text, static_cast<std::size_t>(length));
  return version.substr(0, version.find_first_of(",\n"));
}

// Looked up, not linked: a build without NCCL has none, and one with it has the wheel's.
std::string nccl_version() {
  using Get = int(int*);
  auto* const get = reinterpret_cast<Get*>(::dlsym(RTLD_DEFAULT, "ncclGetVersion"));
  int code = 0;
  if (get == nullptr || get(&code) != 0) return "";
  return std::to_string(code / 10000) + "." + std::to_string(code / 100 % 100) + "." +
         std::to_string(code % 100);
}

}  // namespace homolog::comm
