// The commands of homolog store. Each takes its own words, the command's name first, and returns
// the exit code.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace homolog::store_app {

int inspect(int argc, char** argv);
int verify(int argc, char** argv);
int stats(int argc, char** argv);
int preview(int argc, char** argv);
int bench(int argc, char** argv);
int stage(int argc, char** argv);

// The one folder that was named. Throws Fault::Usage: none, several; Fault::Data: no folder.
std::filesystem::path the_store(const std::string& program, const std::vector<std::string>& words);

// From here on a signal asks for a stop, which the reading commands end with Fault::Stopped.
void listen_while_reading();
// Throws Fault::Environment unless all that was printed has been written.
void require_printed();

}  // namespace homolog::store_app
