// The shared page of one worker (LAYOUT.md): two slots that take turns, so that the last complete
// report stays readable even when the writer dies in the middle of the next one.
#include "monitoring/board/board.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <type_traits>

#include "base/error.h"
#include "base/hash.h"

namespace homolog::board {
namespace {

constexpr std::uint64_t kMagic = 0x647261'6F626D68ull;  // "hmboard" in memory
constexpr std::size_t kWords = sizeof(StepReport) / sizeof(std::uint64_t);
constexpr int kTries = 1000;  // a copy takes about 0.1 us, a step of training milliseconds
constexpr const char* kPrefix = "/homolog-";
constexpr const char* kFolder = "/dev/shm";  // where Linux shows shm_open's objects

static_assert(std::is_trivially_copyable_v<StepReport>);
static_assert(sizeof(Term) == 32 && sizeof(StepReport) == 776,
              "a new layout needs a new kBoardVersion");
static_assert(offsetof(StepReport, part_seconds_total) == 104);
static_assert(offsetof(StepReport, terms) == 216 && offsetof(StepReport, resident_bytes) == 768);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "processes share these atomics");

using Word = std::atomic<std::uint64_t>;

struct Layout {
  Word magic;             // stored last: a page that carries it is initialised
  Word version_and_size;  // kBoardVersion << 32 | sizeof(Layout)
  Word writer_pid;
  Word writer_start;  // field 22 of /proc/PID/stat: a reused pid is another writer
  Word sequence;      // reports published; the newest is in slot sequence % 2
  Word pid_space;  // inode of the writer's /proc/self/ns/pid, in which alone its pid says anything
  Word reserved[2];
  std::array<std::array<Word, kWords>, 2> slots;
};
static_assert(sizeof(Layout) == 64 + 2 * 776);

// Start of a process in clock ticks after boot; 0 when it does not exist (any more).
std::uint64_t start_of(std::int64_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(in)), {});
  const auto name_end = text.rfind(')');  // the name may hold spaces and brackets
  if (name_end == std::string::npos) return 0;
  std::size_t at = name_end + 1;
  if (text.compare(at, 2, " Z") == 0 || text.compare(at, 2, " X") == 0)
    return 0;  // dead, not yet reaped
  for (int field = 3; field < 22; ++field) at = text.find(' ', at + 1);
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at, nullptr, 10);
}

// Of this process; 0 when unknown.
std::uint64_t own_pid_space() {
  struct stat status {};
  return ::stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

std::string board_prefix(const std::string& run_folder) {
  std::error_code code;
  auto path = std::filesystem::weakly_canonical(run_folder, code);
  if (code) path = run_folder;
  std::string text = path.string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return kPrefix + hex64(xxh3_64(text)) + "-";
}

[[noreturn]] void fail(const std::string& doing, const std::string& name, int code) {
  throw Error(Fault::Environment,
              "cannot " + doing + " the board " + name + ": " + std::strerror(code),
              code == ENOSPC ? "free space in /dev/shm"
                             : "check that /dev/shm is writable, and that "
                               "no other user's file of that name lies there");
}

}  // namespace

const char* part_name(Part part) noexcept {
  static constexpr const char* names[] = {"data_wait",         "h2d",  "forward",   "backward",
                                          "allreduce_exposed", "clip", "optimizer", "ema",
                                          "checkpoint_block",  "other"};
  static_assert(std::size(names) == static_cast<std::size_t>(Part::Count));
  return part < Part::Count ? names[static_cast<std::size_t>(part)] : "unknown";
}

const char* phase_name(Phase phase) noexcept {
  static constexpr const char* names[] = {"init",     "train", "validate", "save",
                                          "stopping", "done",  "failed"};
  const auto index = static_cast<std::size_t>(phase);
  return index < std::size(names) ? names[index] : "unknown";
}

std::string board_name(const std::string& run_folder, int rank) {
  return board_prefix(run_folder) + std::to_string(rank);
}

struct BoardWriter::Page : Layout {};

BoardWriter::BoardWriter(const std::string& run_folder, int rank) {
  const std::string name = board_name(run_folder, rank);
  // A new object, never the old one again: a reader of the old page keeps an intact mapping.
  ::shm_unlink(name.c_str());
  const int descriptor = ::shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  if (descriptor < 0) fail("create", name, errno);
  // Reserves the memory now: a full /dev/shm is an error here and not a SIGBUS in a step.
  int code = ::posix_fallocate(descriptor, 0, sizeof(Page));
  void* memory = MAP_FAILED;
  if (code == 0) {
    memory = ::mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    code = memory == MAP_FAILED ? errno : 0;
  }
  ::close(descriptor);
  if (code != 0) {
    ::shm_unlink(name.c_str());
    fail("map", name, code);
  }
  page_ = new (memory) Page();
  page_->version_and_size.store(std::uint64_t{kBoardVersion} << 32 | sizeof(Page),
                                std::memory_order_relaxed);
  page_->writer_pid.store(static_cast<std::uint64_t>(getpid()), std::memory_order_relaxed);
  page_->writer_start.store(start_of(getpid()), std::memory_order_relaxed);
  page_->pid_space.store(own_pid_space(), std::memory_order_relaxed);
  page_->magic.store(kMagic, std::memory_order_release);
}

BoardWriter::~BoardWriter() { ::munmap(page_, sizeof(Page)); }

void BoardWriter::publish(const StepReport& report) noexcept {
  std::array<std::uint64_t, kWords> words;
  std::memcpy(words.data(), &report, sizeof report);
  const std::uint64_t next = page_->sequence.load(std::memory_order_relaxed) + 1;
  auto& slot = page_->slots[next % 2];
  // Release stores instead of a fence: who sees one of these words also sees the sequence that
  // gave this slot away, and rejects what it copied.
  for (std::size_t i = 0; i < kWords; ++i) slot[i].store(words[i], std::memory_order_release);
  page_->sequence.store(next, std::memory_order_release);
}

std::optional<BoardReader> BoardReader::open(const std::string& run_folder, int rank) {
  return open_named(board_name(run_folder, rank));
}

std::optional<BoardReader> BoardReader::open_named(const std::string& name) {
  const int descriptor = ::shm_open(name.c_str(), O_RDONLY, 0);
  if (descriptor < 0) return std::nullopt;
  struct stat status {};
  void* memory = MAP_FAILED;
  if (::fstat(descriptor, &status) == 0 && status.st_size == static_cast<off_t>(sizeof(Layout))) {
    memory = ::mmap(nullptr, sizeof(Layout), PROT_READ, MAP_SHARED, descriptor, 0);
  }
  ::close(descriptor);
  if (memory == MAP_FAILED) return std::nullopt;
  BoardReader reader(memory);
  const auto* page = static_cast<const Layout*>(memory);
  if (page->magic.load(std::memory_order_acquire) != kMagic ||
      page->version_and_size.load(std::memory_order_relaxed) !=
          (std::uint64_t{kBoardVersion} << 32 | sizeof(Layout))) {
    return std::nullopt;  // the reader's destructor unmaps
  }
  return std::optional<BoardReader>(std::move(reader));
}

BoardReader::BoardReader(BoardReader&& other) noexcept : page_(other.page_) {
  other.page_ = nullptr;
}
BoardReader::~BoardReader() {
  if (page_) ::munmap(page_, sizeof(Layout));
}

std::optional<StepReport> BoardReader::read() const noexcept {
  const auto* page = static_cast<const Layout*>(page_);
  std::array<std::uint64_t, kWords> words;
  for (int i = 0; i < kTries; ++i) {
    const std::uint64_t before = page->sequence.load(std::memory_order_acquire);
    if (before == 0) return std::nullopt;
    const auto& slot = page->slots[before % 2];
    for (std::size_t w = 0; w < kWords; ++w) words[w] = slot[w].load(std::memory_order_acquire);
    if (page->sequence.load(std::memory_order_relaxed) != before) continue;
    StepReport report;
    std::memcpy(&report, words.data(), sizeof report);
    report.term_count = std::min<std::uint32_t>(report.term_count, kMaxTerms);
    for (Term& term : report.terms) term.name[sizeof term.name - 1] = '\0';
    return report;
  }
  return std::nullopt;
}

bool BoardReader::writer_alive() const noexcept {
  const auto* page = static_cast<const Layout*>(page_);
  const std::uint64_t start = page->writer_start.load(std::memory_order_relaxed);
  try {
    return start != 0 &&
           start_of(static_cast<std::int64_t>(page->writer_pid.load(std::memory_order_relaxed))) ==
               start;
  } catch (...) {  // out of memory: say what we last knew
    return true;
  }
}

std::vector<int> local_boards(const std::string& run_folder) {
  const std::string prefix = board_prefix(run_folder).substr(1);
  std::vector<int> ranks;
  std::error_code code;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder, code)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix)) continue;
    int rank = -1;
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + prefix.size(), end, rank);
    if (parsed.ec == std::errc() && parsed.ptr == end && rank >= 0) ranks.push_back(rank);
  }
  std::sort(ranks.begin(), ranks.end());
  return ranks;
}

void remove_board(const std::string& run_folder, int rank) noexcept {
  try {
    ::shm_unlink(board_name(run_folder, rank).c_str());
  } catch (...) {  // out of memory: the next run replaces it
  }
}

void remove_dead_boards(const std::string& run_folder) noexcept try {
  for (const int rank : local_boards(run_folder)) {
    const auto reader = BoardReader::open(run_folder, rank);
    if (reader && !reader->writer_alive()) remove_board(run_folder, rank);
  }
} catch (...) {  // out of memory: the next launch removes them
}

// Another user's board cannot be opened, one that is being made is not read yet, and the pids of
// another container that shares /dev/shm are not ours to judge: all stay.
void remove_dead_boards() noexcept try {
  const std::uint64_t own = own_pid_space();
  if (own == 0) return;
  std::error_code code;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder, code)) {
    const std::string name = "/" + entry.path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    const auto reader = BoardReader::open_named(name);
    if (!reader || reader->writer_alive()) continue;
    const auto* page = static_cast<const Layout*>(reader->page_);
    if (page->pid_space.load(std::memory_order_relaxed) == own) ::shm_unlink(name.c_str());
  }
} catch (...) {  // as above
}

void remove_boards(const std::string& run_folder, int world) noexcept {
  for (int rank = 0; rank < world; ++rank) remove_board(run_folder, rank);
}

}  // namespace homolog::board
