// How tcmalloc manages the memory of a program that trains (docs/decisions/0009); linked by
// `homolog_keeps_pages(PROGRAM)`. A step gives back and takes the same blocks again: unused pages
// are never returned to the kernel, which would clear and map them anew, and lie on huge pages.
#include <gperftools/malloc_extension.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstddef>

namespace {

class OnHugePages final : public SysAllocator {
 public:
  explicit OnHugePages(SysAllocator* system) : system_(system) {}
  void* Alloc(std::size_t size, std::size_t* actual_size, std::size_t alignment) override {
    constexpr std::size_t kHugePage = 2 << 20;
    const std::size_t whole = (size + kHugePage - 1) / kHugePage * kHugePage;
    void* memory = system_->Alloc(whole, actual_size, std::max(alignment, kHugePage));
    if (memory != nullptr) ::madvise(memory, *actual_size, MADV_HUGEPAGE);
    return memory;
  }

 private:
  SysAllocator* system_;
};

[[maybe_unused]] const bool kept = [] {
  MallocExtension* tcmalloc = MallocExtension::instance();
  tcmalloc->SetMemoryReleaseRate(0);
  // Never deleted: memory is taken until the process has ended.
  tcmalloc->SetSystemAllocator(new OnHugePages(tcmalloc->GetSystemAllocator()));
  return true;
}();

}  // namespace
