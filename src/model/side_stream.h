// A second queue of work on a device, beside the current one.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Stream.h>

#include <functional>
#include <optional>

namespace homolog::model {

// Where there are none, as on a CPU, `run` is a plain call. On a GPU the two queues share the
// device; what `work` reads must live until join(), and what it made is free to use behind it. May
// be recorded into a CUDA graph.
class SideStream {
 public:
  // Issues `work` on the second queue, behind all that the current one holds so far.
  void run(c10::Device device, const std::function<void()>& work);
  // Work issued from now on the current queue waits for what run() issued; the host does not.
  void join(c10::Device device);

 private:
  std::optional<c10::Stream> stream_;  // of the first device that it ran on
};

}  // namespace homolog::model
