// The part of Ring that connects each rank with its two neighbours.
#include <algorithm>
#include <list>
#include <nlohmann/json.hpp>

#include "cluster/comm/ring.h"

namespace homolog::comm {
namespace {

constexpr double kTryFor = 3;  // s a connection may take, before the control links are looked at
constexpr double kMostPatience = 30;

}  // namespace

Ring::Ring(ControlStar& star, const Socket& listener, const std::string& hub,
           const std::string& secret, double timeout_s)
    : star_(star) {
  const double patience = std::min(timeout_s, kMostPatience);
  connect_next(hub, secret, Deadline(patience));
  // A little longer, so that who cannot connect tells it first.
  accept_previous(listener, secret, Deadline(patience + kTryFor + 1));
}

void Ring::connect_next(const std::string& hub, const std::string& secret,
                        const Deadline& deadline) {
  const std::string address = next().address.empty() ? hub : next().address;
  std::string why;
  while (!to_next_) {
    to_next_ = connect_to(address, next().port, Deadline(kTryFor), why);
    if (to_next_) break;
    if (deadline.past()) {
      throw Lost{star_.member(star_.rank()).text() + " cannot reach " + next().text() + " at " +
                 address + " port " + std::to_string(next().port) + ": " + why +
                 "; a firewall between nodes must let TCP through at all ports"};
    }
    star_.wait({}, Deadline(kMostPatience));
  }
  const std::string greeting = message({{"secret", secret}, {"rank", star_.rank()}});
  if (!to_next_.send_all(greeting, deadline)) throw Lost{next().text() + " is gone"};
}

// Strangers may come here, too.
void Ring::accept_previous(const Socket& listener, const std::string& secret,
                           const Deadline& deadline) {
  struct Guest {
    Socket socket;
    MessageReader reader{kLongestGreeting};
  };
  std::list<Guest> guests;
  while (!from_previous_) {
    if (deadline.past()) {
      throw Lost{previous().text() + " did not connect to " + star_.member(star_.rank()).text() +
                 "; a firewall between nodes must let TCP through at all ports"};
    }
    std::vector<pollfd> waiting = {{listener.fd(), POLLIN, 0}};
    for (const Guest& guest : guests) waiting.push_back({guest.socket.fd(), POLLIN, 0});
    star_.wait(waiting, Deadline(kMostPatience));
    for (Socket s = accept_one(listener); s; s = accept_one(listener))
      guests.push_back({std::move(s)});
    for (auto guest = guests.begin(); guest != guests.end();) {
      try {
        const auto greeting = guest->reader.read(guest->socket);
        if (!greeting) {
          ++guest;
          continue;
        }
        if (greeting->value("secret", "") == secret &&
            greeting->value("rank", -1) == previous().rank)
          from_previous_ = std::move(guest->socket);
      } catch (const Stranger&) {
      } catch (const nlohmann::json::exception&) {
      }
      guest = guests.erase(guest);
    }
  }
}

}  // namespace homolog::comm
