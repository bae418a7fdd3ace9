#include "cluster/comm/greeting.h"

#include <unistd.h>

#include <cctype>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "base/own_host.h"

namespace homolog::comm {
namespace {

constexpr std::uint32_t kProtocol = 1;
constexpr char kMagic[8] = {'H', 'O', 'M', 'O', 'L', 'O', 'G', 'w'};

struct Head {
  char magic[8];
  std::uint32_t protocol, length;
};

std::string printable(std::string_view bytes) {
  std::string text(bytes.substr(0, 16));
  for (char& c : text) {
    if (std::isprint(static_cast<unsigned char>(c)) == 0) c = '.';
  }
  return text;
}

std::string boot_id() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id;
}

}  // namespace

std::string Member::text() const {
  return "rank " + std::to_string(rank) + " on host " + host + " (pid " + std::to_string(pid) + ")";
}

nlohmann::json to_json(const Member& m) {
  return {{"rank", m.rank},       {"size", m.size}, {"host", m.host}, {"boot", m.boot},
          {"address", m.address}, {"pid", m.pid},   {"port", m.port}, {"local", m.local_index}};
}

Member member_from(const nlohmann::json& json) {
  try {
    Member m{json.at("rank"),    json.at("size"), json.at("host"), json.at("boot"),
             json.at("address"), json.at("pid"),  json.at("port"), json.at("local")};
    if (m.rank < 0 || m.size < 1 || m.rank >= m.size || m.port < 1 || m.port > 65535)
      throw Stranger{"its rank, world or port is out of bounds"};
    return m;
  } catch (const nlohmann::json::exception&) {
    throw Stranger{"its greeting lacks a field"};
  }
}

std::string message(const nlohmann::json& json) {
  const std::string text = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  Head head{{}, kProtocol, static_cast<std::uint32_t>(text.size())};
  std::memcpy(head.magic, kMagic, sizeof kMagic);
  return std::string(reinterpret_cast<const char*>(&head), sizeof head) + text;
}

std::optional<nlohmann::json> MessageReader::read(const Socket& socket) {
  std::size_t wanted = sizeof(Head);
  while (true) {
    if (bytes_.size() >= sizeof(Head)) {
      Head head;
      std::memcpy(&head, bytes_.data(), sizeof head);
      if (std::memcmp(head.magic, kMagic, sizeof kMagic) != 0)
        throw Stranger{"it is no homolog: it began with '" + printable(bytes_) + "'"};
      if (head.protocol != kProtocol)
        throw Stranger{"it is another version of homolog: protocol " +
                       std::to_string(head.protocol) + ", here " + std::to_string(kProtocol)};
      if (head.length > longest_) throw Stranger{"its greeting is too long"};
      wanted = sizeof(Head) + head.length;
      if (bytes_.size() == wanted) break;
    }
    const std::size_t had = bytes_.size();
    bytes_.resize(wanted);
    const auto got = socket.receive_some(bytes_.data() + had, wanted - had);
    bytes_.resize(had + got.value_or(0));
    if (!got)
      throw Stranger{bytes_.empty() ? "it closed the connection without a word"
                                    : "it is no homolog: it said only '" + printable(bytes_) + "'"};
    if (*got == 0) return std::nullopt;
  }
  auto json = nlohmann::json::parse(bytes_.substr(sizeof(Head)), nullptr, false);
  if (!json.is_object()) throw Stranger{"its greeting cannot be read"};
  return json;
}

Member describe_self(const topology::Rank& rank, int local_index, int port) {
  return {rank.index, rank.size, own_host(), boot_id(), "", ::getpid(), port, local_index};
}

topology::Rank place_among(const std::vector<Member>& members, int rank) {
  const Member& own = members.at(static_cast<std::size_t>(rank));
  topology::Rank place{.index = rank, .size = own.size, .local_size = 0, .host = own.host};
  std::set<int> said;
  for (const Member& m : members) {
    if (m.host != own.host || m.boot != own.boot) continue;
    if (m.rank < rank) ++place.local_index;
    ++place.local_size;
    said.insert(m.local_index);
  }
  const bool whole = static_cast<int>(said.size()) == place.local_size && *said.begin() == 0 &&
                     *said.rbegin() == place.local_size - 1;
  if (whole) place.local_index = own.local_index;
  return place;
}

}  // namespace homolog::comm
