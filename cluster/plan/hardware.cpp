// Sources: NVIDIA's data sheets of DGX B200, H200, H100 SXM, A100 (80 and 40 GB, SXM), L40S and
// V100 SXM2; dense rates, half of those given with sparsity; DGX figures divided by 8. link: half
// of the NVLink figure, which counts both directions; L40S: PCIe 4.0 x16. network: the adapter a
// device has in that generation's DGX (B200, H200, H100: 400 Gb/s; A100: 200; V100: half of 100,
// four adapters for eight devices), and 200 Gb/s for the L40S. Shares: long products and copies are
// commonly seen to reach 0.8 and 0.9 of the peaks; assumed here for all, which makes the plan's
// times a step's limit. cpu: one core of an EPYC (Zen 4), measured: 95 GFLOP/s of fp32 products, 25
// GB/s of copies.
#include "cluster/plan/hardware.h"

#include <cctype>

#include "base/error.h"
#include "base/options.h"

namespace homolog::plan {
namespace {

constexpr double kTera = 1e12, kGiga = 1e9, kProducts = 0.8, kCopies = 0.9;

}  // namespace

const std::vector<Device>& devices() {
  static const std::vector<Device> known = {
      {"b200", 2250 * kTera, 1125 * kTera, 75 * kTera, 8 * kTera, 180 * kGiga, 900 * kGiga,
       50 * kGiga, kProducts, kCopies},
      {"h200", 989 * kTera, 494 * kTera, 67 * kTera, 4.8 * kTera, 141 * kGiga, 450 * kGiga,
       50 * kGiga, kProducts, kCopies},
      {"h100", 989 * kTera, 494 * kTera, 67 * kTera, 3.35 * kTera, 80 * kGiga, 450 * kGiga,
       50 * kGiga, kProducts, kCopies},
      {"a100", 312 * kTera, 156 * kTera, 19.5 * kTera, 2.039 * kTera, 80 * kGiga, 300 * kGiga,
       25 * kGiga, kProducts, kCopies},
      {"a100-40", 312 * kTera, 156 * kTera, 19.5 * kTera, 1.555 * kTera, 40 * kGiga, 300 * kGiga,
       25 * kGiga, kProducts, kCopies},
      {"l40s", 362 * kTera, 183 * kTera, 91.6 * kTera, 0.864 * kTera, 48 * kGiga, 32 * kGiga,
       25 * kGiga, kProducts, kCopies},
      {"v100", 15.7 * kTera, 15.7 * kTera, 15.7 * kTera, 0.9 * kTera, 32 * kGiga, 150 * kGiga,
       6.25 * kGiga, kProducts, kCopies},
      {"cpu", 95 * kGiga, 95 * kGiga, 95 * kGiga, 25 * kGiga, 0, 10 * kGiga, 12.5 * kGiga, 1, 1},
  };
  return known;
}

std::vector<std::string> device_names() {
  std::vector<std::string> names;
  for (const Device& d : devices()) names.emplace_back(d.name);
  return names;
}

const Device& device_named(const std::string& written) {
  std::string known, name = written;
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const Device& d : devices()) {
    if (name == d.name) return d;
    known += (known.empty() ? "" : ", ") + std::string(d.name);
  }
  const std::string near = nearest_word(name, device_names());
  throw Error(Fault::Usage, "--gpu: nothing is known of '" + written + "'",
              (near.empty() ? "" : "did you mean " + near + "? ") + std::string("known: ") + known +
                  "; or measure yours with --probe");
}

}  // namespace homolog::plan
