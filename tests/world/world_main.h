// The communicator that the claims of one world binary share; world_main.cpp connects it.
#pragma once

#include "cluster/comm/communicator.h"

extern homolog::comm::Communicator* world;
