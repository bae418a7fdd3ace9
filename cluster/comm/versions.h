// Versions of the libraries that are loaded, which need not be those that were compiled against.
#pragma once

#include <string>

namespace homolog::comm {

std::string mpi_version();   // "Open MPI v4.1.4"; callable before MPI is initialised
std::string nccl_version();  // "2.28.9"; "": none is loaded

}  // namespace homolog::comm
