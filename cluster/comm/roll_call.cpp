#include "cluster/comm/roll_call.h"

#include <poll.h>

#include <list>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"

namespace homolog::comm {
namespace {

constexpr double kGreetingTakes = 10;  // s; a stranger may hold a connection so long
constexpr double kLinger = 3;          // s; who comes late shall hear, too, why there is no world
constexpr std::size_t kMostStrangers = 256;
constexpr int kTold = 8;  // refusals that stand in the log

nlohmann::json refusal(Fault fault, const std::string& text, const std::string& remedy) {
  return {{"refused", text}, {"remedy", remedy}, {"code", exit_code(fault)}};
}

class RollCall {
 public:
  RollCall(const Member& self, const Pass& pass, const std::string& place, const Socket& listener)
      : pass_(pass), place_(place), listener_(listener), secret_(random_key_hex()) {
    members_.resize(static_cast<std::size_t>(self.size));
    control_.resize(members_.size());
    members_[0] = self;
  }

  World gather(double timeout_s, const std::function<void()>& still_ours) {
    const Deadline deadline(timeout_s);
    Stopwatch since_check;
    while (came_ < members_.size()) {
      if (deadline.past()) fail(Fault::Environment, missing(timeout_s), how_to_come());
      wait(deadline);
      watch_members();
      serve_guests([this](Guest& guest, const nlohmann::json& said) { judge(guest, said); });
      if (still_ours && since_check.seconds() > 1) {
        since_check.lap();
        require(still_ours);
      }
    }
    tell_all();
    return {std::move(members_), secret_, std::move(control_)};
  }

 private:
  struct Guest {
    Socket socket;
    std::string address;
    MessageReader reader{kLongestGreeting};
    Deadline until{kGreetingTakes};
  };

  void require(const std::function<void()>& still_ours) {
    try {
      still_ours();
    } catch (const Error& e) {  // who came hears it, too
      fail(e.fault(), e.summary(), e.remedy());
    }
  }

  // Until somebody comes, says something, or goes.
  void wait(const Deadline& deadline) {
    std::vector<pollfd> waiting = {{listener_.fd(), POLLIN, 0}};
    for (const Guest& guest : guests_) waiting.push_back({guest.socket.fd(), POLLIN, 0});
    for (const Socket& member : control_) {
      if (member) waiting.push_back({member.fd(), POLLIN, 0});
    }
    ::poll(waiting.data(), waiting.size(), deadline.poll_ms());
  }

  void watch_members() {
    for (std::size_t r = 1; r < control_.size(); ++r) {
      char byte;
      if (control_[r] && !control_[r].receive_some(&byte, 1)) {
        control_[r].close();
        fail(Fault::Environment, members_[r].text() + " left before the world was complete",
             "see its log");
      }
    }
  }

  void let_in(Socket socket) {
    if (guests_.size() >= kMostStrangers) return;
    std::string address = socket.peer_address();
    guests_.push_back({std::move(socket), std::move(address)});
  }

  using Hear = std::function<void(Guest& guest, const nlohmann::json& greeting)>;

  void serve_guests(const Hear& heard) {
    for (Socket s = accept_one(listener_); s; s = accept_one(listener_)) let_in(std::move(s));
    for (auto guest = guests_.begin(); guest != guests_.end();)
      guest = listen_to(*guest, heard) ? guests_.erase(guest) : std::next(guest);
  }

  // True: the guest has become a member, or goes.
  bool listen_to(Guest& guest, const Hear& heard) {
    try {
      const auto greeting = guest.reader.read(guest.socket);
      if (greeting) {
        heard(guest, *greeting);
        return true;
      }
      if (guest.until.past()) throw Stranger{"it said nothing"};
      return false;
    } catch (const Stranger& stranger) {
      turn_away(guest, "from " + guest.address + ": " + stranger.why);
      return true;
    }
  }

  void turn_away(const Guest& guest, const std::string& why) {
    guest.socket.send_all(
        message(refusal(Fault::Environment,
                        members_[0].text() + " at " + place_ + " refused a worker " + why,
                        "start each worker of a world once, with the same settings; give worlds "
                        "that run at once another cluster.rendezvous")),
        Deadline(1));
    if (++refusals_ > kTold) return;  // a port scanner comes often
    log::warn("refused a connection", {{"at", place_}, {"why", why}});
    refused_ += "\n  refused meanwhile, " + why;
  }

  void judge(Guest& guest, const nlohmann::json& greeting) {
    if (!greeting.contains("world_id") || !greeting["world_id"].is_string() ||
        !greeting.contains("key") || !greeting.contains("member"))
      throw Stranger{"its greeting lacks a field"};
    Member member = member_from(greeting["member"]);
    const std::string who = "from " + guest.address + ": " + member.text();
    const std::string id = greeting["world_id"];
    if (id != pass_.world_id)
      return turn_away(guest,
                       who + " is of the world '" + id + "', not of '" + pass_.world_id + "'");
    if (greeting["key"] != pass_.key)
      return turn_away(guest, who + " does not have the key of " + place_);
    if (member.rank == 0) return turn_away(guest, who + " is a second rank 0, " + state());
    if (member.size != members_[0].size) {
      control_[0] = std::move(guest.socket);  // fail() tells it, too
      ++came_;
      fail(Fault::Usage,
           member.text() + " was started for a world of " + std::to_string(member.size) + ", " +
               members_[0].text() + " for one of " + std::to_string(members_[0].size),
           "start all workers with the same number of workers");
    }
    const auto r = static_cast<std::size_t>(member.rank);
    if (control_[r]) return turn_away(guest, who + " comes after " + members_[r].text());
    if (!is_loopback(guest.address)) member.address = guest.address;
    members_[r] = std::move(member);
    control_[r] = std::move(guest.socket);
    ++came_;
  }

  std::string state() const {
    return "which waits for " + std::to_string(members_.size() - came_) + " of " +
           std::to_string(members_.size()) + " ranks";
  }

  std::string missing(double timeout_s) const {
    std::string ranks;
    int count = 0;
    for (std::size_t r = 1; r < control_.size(); ++r) {
      if (control_[r]) continue;
      if (++count <= 16) ranks += (ranks.empty() ? "" : ", ") + std::to_string(r);
    }
    if (count > 16) ranks += " and " + std::to_string(count - 16) + " more";
    return (count == 1 ? "rank " : "ranks ") + ranks + " of " + std::to_string(members_.size()) +
           " did not come to " + place_ + " on host " + members_[0].host + " within " +
           human_duration(timeout_s) + refused_;
  }

  static const char* how_to_come() {
    return "see the logs of the ranks that are missing, and that their hosts reach this one: a "
           "firewall between nodes must let TCP through";
  }

  [[noreturn]] void fail(Fault fault, const std::string& what, const std::string& remedy) {
    const std::string told = message(refusal(fault, what, remedy));
    for (Socket& member : control_) {
      if (member) member.send_all(told, Deadline(1));
      member.close();
    }
    for (const Deadline end(kLinger); came_ < members_.size() && !end.past();) {
      wait(end);
      serve_guests([&](Guest& guest, const nlohmann::json&) {
        guest.socket.send_all(told, Deadline(1));
        ++came_;
      });
    }
    throw Error(fault, what, remedy);
  }

  void tell_all() {
    nlohmann::json all{{"secret", secret_}, {"members", nlohmann::json::array()}};
    for (const Member& member : members_) all["members"].push_back(to_json(member));
    const std::string told = message(all);
    for (std::size_t r = 1; r < control_.size(); ++r) {
      if (!control_[r].send_all(told, Deadline(10))) {
        control_[r].close();
        fail(Fault::Environment, members_[r].text() + " left before the world was complete",
             "see its log");
      }
    }
  }

  const Pass& pass_;
  const std::string& place_;
  const Socket& listener_;
  std::string secret_, refused_;
  std::vector<Member> members_;
  std::vector<Socket> control_;
  std::list<Guest> guests_;
  std::size_t came_ = 1;
  int refusals_ = 0;
};

// What rank 0 answered: a world, or why not.
World read_answer(const nlohmann::json& answer, const Member& self, Socket socket) {
  if (answer.contains("refused")) {
    const bool usage = answer.value("code", 4) == exit_code(Fault::Usage);
    throw Error(usage ? Fault::Usage : Fault::Environment, answer.value("refused", ""),
                answer.value("remedy", ""));
  }
  World world;
  if (!answer.contains("members") || !answer["members"].is_array())
    throw Stranger{"its answer lacks a field"};
  for (const auto& m : answer["members"]) world.members.push_back(member_from(m));
  if (static_cast<int>(world.members.size()) != self.size)
    throw Stranger{"its answer names another number of ranks"};
  world.secret = answer.value("secret", "");
  world.control.push_back(std::move(socket));
  return world;
}

}  // namespace

World call_roll(const Member& self, const Pass& pass, const std::string& place,
                const Socket& listener, double timeout_s, const std::function<void()>& still_ours) {
  return RollCall(self, pass, place, listener).gather(timeout_s, still_ours);
}

std::optional<World> knock(const Member& self, const Pass& pass, const std::string& host, int port,
                           const Deadline& deadline, std::string& why) {
  Socket socket = connect_to(host, port, Deadline(std::min(5.0, deadline.seconds_left())), why);
  if (!socket) return std::nullopt;
  const std::string greeting =
      message({{"world_id", pass.world_id}, {"key", pass.key}, {"member", to_json(self)}});
  MessageReader reader(kLongestAnswer);
  try {
    if (!socket.send_all(greeting, deadline)) throw Stranger{"it closed the connection"};
    while (!deadline.past()) {
      if (const auto answer = reader.read(socket))
        return read_answer(*answer, self, std::move(socket));
      pollfd waiting{socket.fd(), POLLIN, 0};
      ::poll(&waiting, 1, deadline.poll_ms(1000));
    }
    why = kNeverAnswered;
  } catch (const Stranger& stranger) {
    why = stranger.why;
  } catch (const nlohmann::json::exception&) {
    why = "its answer cannot be read";
  }
  return std::nullopt;
}

}  // namespace homolog::comm
