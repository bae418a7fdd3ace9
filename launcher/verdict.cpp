#include "launcher/verdict.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace homolog::launcher {
namespace {

constexpr int kStopped = static_cast<int>(Fault::Stopped);
constexpr int kNoProgress = static_cast<int>(Fault::NoProgress);
constexpr int kEnvironment = static_cast<int>(Fault::Environment);

bool in_contract(int code) {
  return code == 2 || code == 3 || code == 4 || code == 5 || code == 6 || code == 93;
}

int code_of(const ExitRecord& record) {
  return record.signal == 0 && in_contract(record.code) ? record.code : kEnvironment;
}

// A rank that says 4 or was killed may only have noticed that another one failed for a reason of
// its own; so reasons of one's own come first, then the earliest.
bool is_nearer_to_cause(const ExitRecord& a, const ExitRecord& b) {
  const bool own_a = code_of(a) != kEnvironment, own_b = code_of(b) != kEnvironment;
  if (own_a != own_b) return own_a;
  if (own_a) return a.rank < b.rank;  // found by all at once: the lowest rank says why
  if (a.ended_unix != b.ended_unix) return a.ended_unix < b.ended_unix;
  return a.rank < b.rank;
}

std::string remedy_for(const ExitRecord& record) {
  if (record.signal == 9)
    return "if nobody killed it, the machine ran out of memory: see dmesg, use smaller batches or "
           "fewer workers";
  if (record.signal != 0)
    return "a crash: see the last lines above; rerun resumes from the last checkpoint";
  if (record.code == 127)
    return "the worker's program could not be started: see --worker-program and the build";
  return "the lines of that rank above say what and why";
}

std::vector<ExitRecord> causes(const Attempt& attempt) {
  std::vector<ExitRecord> found;
  for (const ExitRecord& record : attempt.records) {
    // A worker's way to leave at the second signal without any checkpoint.
    const bool left = attempt.stop_requested && record.signal == 0 && record.code == kNoProgress;
    if (record.failed() && !record.told_to && !left) found.push_back(record);
  }
  std::sort(found.begin(), found.end(), is_nearer_to_cause);
  return found;
}

// 75 promises a checkpoint to go on from; without one a batch script would requeue for ever.
Outcome left_on_request(const Attempt& attempt) {
  if (attempt.step >= 0) return {.code = kStopped, .message = "", .remedy = "", .rank = {}};
  return {kNoProgress,
          "stopped on request before the first checkpoint; nothing is saved",
          "the same command starts anew; leave it the time for a step, and signal once",
          {}};
}

}  // namespace

std::string describe_end(const ExitRecord& record) {
  if (record.signal != 0)
    return "signal " + std::to_string(record.signal) + " (" + ::strsignal(record.signal) + ")";
  std::string text = "exit code " + std::to_string(record.code);
  if (in_contract(record.code) || record.code == kStopped) {
    text += std::string(" (") + fault_name(static_cast<Fault>(record.code)) + ")";
  }
  return text;
}

Outcome explain(const Attempt& attempt) {
  if (const auto found = causes(attempt); !found.empty()) {
    const ExitRecord& cause = found.front();
    std::string text = "rank " + std::to_string(cause.rank) + " on host " + cause.host +
                       " ended with " + describe_end(cause);
    if (!cause.last_line.empty()) text += "; its last line: " + cause.last_line;
    // A stopped process is killed without a word, so the others' complaint is all that is said.
    for (const ExitRecord& record : attempt.records) {
      if (!record.stopped) continue;
      text = "rank " + std::to_string(record.rank) + " on host " + record.host +
             " was stopped (SIGSTOP, a debugger); " + text;
      return {code_of(cause), text,
              "find out who stopped it; rerun resumes from the last checkpoint", record.rank};
    }
    return {code_of(cause), text, remedy_for(cause), cause.rank};
  }
  const auto count = [&](auto test) {
    return std::count_if(attempt.records.begin(), attempt.records.end(), test);
  };
  const auto finished =
      count([](const ExitRecord& r) { return r.ended && r.signal == 0 && r.code == 0; });
  const auto stopped =
      count([](const ExitRecord& r) { return r.ended && r.signal == 0 && r.code == kStopped; });
  if (finished == attempt.world && attempt.starter_code == 0) return {};
  if (finished + stopped == attempt.world && stopped > 0)
    return {.code = kStopped, .message = "", .remedy = "", .rank = {}};
  if (attempt.stop_requested) return left_on_request(attempt);
  std::string text =
      attempt.starter + " ended with exit code " + std::to_string(attempt.starter_code) + "; ";
  text += std::to_string(finished + stopped) + " of " + std::to_string(attempt.world) +
          " workers ended well";
  for (const ExitRecord& record : attempt.records) {
    if (!record.ended)
      text += "; rank " + std::to_string(record.rank) + " on host " + record.host +
              " left without a word";
  }
  return {kEnvironment, text, "the lines of " + attempt.starter + " above say what it lacked", {}};
}

Verdict judge(const Outcome& outcome, const Attempt& attempt, const RestartPolicy& policy) {
  if (outcome.code == 0 || outcome.code == kStopped) return Verdict::Done;
  if (outcome.code != kEnvironment || attempt.stop_requested || policy.restarts == 0)
    return Verdict::GiveUp;
  if (attempt.progress) return Verdict::Restart;
  return policy.without_progress < policy.restarts ? Verdict::Restart : Verdict::NoProgress;
}

}  // namespace homolog::launcher
