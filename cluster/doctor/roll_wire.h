// What goes over the roll call's connections; private to roll_server.cpp and roll_client.cpp. All
// ranks run the same program on one kind of machine, so structs travel as they lie in memory.
#pragma once

#include <cstdint>

namespace homolog::doctor {

struct Beat {
  std::uint64_t token = 0;  // of this roll call: a stray program does not count
  std::int32_t rank = 0, rung = 0;
  double sent = 0;  // the sender's wall clock, s since 1970
  std::int32_t goodbye = 0, unused = 0;
  char note[208] = {};  // ends with a zero
};

struct Answer {
  std::uint64_t token = 0;
  double sent = 0;   // of the beat
  double clock = 0;  // rank 0's, when it answered
};

static_assert(sizeof(Beat) == 240 && sizeof(Answer) == 24);

}  // namespace homolog::doctor
