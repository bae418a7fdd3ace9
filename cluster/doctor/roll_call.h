// Who still answers, told apart from the collectives: those only say that somebody does not. Every
// rank sends rank 0 a beat over TCP several times a second, with the rung it is on; the answers
// carry rank 0's clock, which gives the time skew. Threads of their own, so that a rank that hangs
// in MPI still says so, and a dead or stopped one is told from a busy one.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace homolog::doctor {

struct LastBeat {
  bool came = false, left = false;  // left: said goodbye
  bool gone = false;                // its connection broke: the process has ended
  double seconds_ago = 0;
  int rung = 0;
  std::string note;
};

class RollServer {  // on rank 0
 public:
  // Listens on all addresses. `lost` is called once a rank, on the server's thread, when a rank's
  // connection breaks without a goodbye. Throws Fault::Environment.
  RollServer(int ranks, std::function<void(int rank)> lost);
  ~RollServer();
  RollServer(const RollServer&) = delete;
  RollServer& operator=(const RollServer&) = delete;
  std::string address() const;         // one line, for RollClient
  std::vector<LastBeat> last() const;  // by rank; rank 0's own is always fresh

 private:
  struct State;
  std::shared_ptr<State> state_;
};

struct Skew {
  double seconds = 0;  // this clock minus rank 0's
  double error = 0;    // half the quickest round trip
  int answers = 0;
};

class RollClient {  // on the other ranks
 public:
  // Connects in the background, to the first of the addresses that answers as this roll call.
  RollClient(const std::string& address, int rank);
  ~RollClient();  // says goodbye
  RollClient(const RollClient&) = delete;
  RollClient& operator=(const RollClient&) = delete;
  void mark(int rung);
  void note(const std::string& text);  // what went wrong here; at most 200 bytes travel
  bool connected() const;
  double silence() const;  // seconds since rank 0's last answer; since the start without any
  std::optional<Skew> skew() const;  // of the quickest answer

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// What to say of the ranks that hold the others up on `rung`: those that ended, never came or are
// silent; without any, those on an earlier rung or with a fault of their own; else those that wait.
// `hosts`: one name a rank. Pure.
std::vector<std::string> who_holds_up(const std::vector<LastBeat>& last,
                                      const std::vector<std::string>& hosts, int rung);

}  // namespace homolog::doctor
