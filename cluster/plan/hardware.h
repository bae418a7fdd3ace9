// What is known of accelerators and their networks, from the makers' data sheets.
#pragma once

#include <string>
#include <vector>

namespace homolog::plan {

struct Device {
  const char* name;
  double bf16, tf32, fp32;  // peak of dense products, FLOP/s; bf16 equal to fp32 where it has none
  double memory_bandwidth;  // B/s
  double memory;            // B; 0: the host's, not known
  double link, network;     // B/s each way and device: within a node, between nodes
  // Shares of the peaks that long products and copies reach: what a step can at best be.
  double product_share, copy_share;
};

const std::vector<Device>& devices();
std::vector<std::string> device_names();
// In small or large letters. Throws Fault::Usage with the known names.
const Device& device_named(const std::string& written);

}  // namespace homolog::plan
