#include "launcher/exit_record.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"

namespace homolog::launcher {

namespace fs = std::filesystem;

fs::path exit_folder(const fs::path& run) { return run / "exit"; }

std::string to_json(const ExitRecord& record) {
  const nlohmann::ordered_json json = {{"rank", record.rank},
                                       {"host", record.host},
                                       {"pid", record.pid},
                                       {"ended", record.ended},
                                       {"code", record.code},
                                       {"signal", record.signal},
                                       {"stopped", record.stopped},
                                       {"told_to", record.told_to},
                                       {"ended_unix", record.ended_unix},
                                       {"last_line", record.last_line}};
  // A worker may print any bytes; broken UTF-8 is replaced, never an error.
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

ExitRecord from_json(const std::string& text, const std::string& where) {
  try {
    const auto json = nlohmann::json::parse(text);
    ExitRecord record;
    record.rank = json.at("rank");
    record.host = json.at("host");
    record.pid = json.at("pid");
    record.ended = json.at("ended");
    record.code = json.at("code");
    record.signal = json.at("signal");
    record.stopped = json.at("stopped");
    record.told_to = json.at("told_to");
    record.ended_unix = json.at("ended_unix");
    record.last_line = json.at("last_line");
    return record;
  } catch (const nlohmann::json::exception& e) {
    throw Error(Fault::Data, where + ": not an exit record: " + e.what());
  }
}

void write_exit_record(const fs::path& run, const ExitRecord& record) {
  fs::create_directories(exit_folder(run));
  write_file_atomically(exit_folder(run) / ("rank-" + std::to_string(record.rank) + ".json"),
                        to_json(record));
}

std::vector<ExitRecord> read_exit_records(const fs::path& run) {
  std::vector<ExitRecord> records;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(exit_folder(run), code)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("rank-") || !name.ends_with(".json")) continue;
    std::ifstream in(entry.path());
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    try {
      records.push_back(from_json(text, entry.path().string()));
    } catch (const Error&) {  // a torn file on a network file system counts as no record
    }
  }
  std::sort(records.begin(), records.end(),
            [](const auto& a, const auto& b) { return a.rank < b.rank; });
  return records;
}

void remove_exit_records(const fs::path& run) {
  std::error_code code;
  fs::remove_all(exit_folder(run), code);
  if (!code) return;
  // An earlier attempt's record would be taken for this one's.
  throw Error(Fault::Environment,
              "cannot remove " + exit_folder(run).string() + ": " + code.message(),
              "give --run a folder that you may write");
}

}  // namespace homolog::launcher
