// A shared object with a copy of heddle of its own.

#include <heddle/park/agent.hpp>

#include <cstdint>

extern "C" std::uint32_t be_an_agent() { return heddle::current_agent().id(); }
