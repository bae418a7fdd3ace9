// Published with link(), which never replaces: a key that was lost would change all pseudonyms.
#include "sharding/import/key_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/hash.h"

namespace homolog::import {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& file, int code) {
  throw Error(Fault::Environment,
              "cannot write key file " + file.string() + ": " + std::strerror(code),
              "check that its folder exists, is writable and has space");
}

// A key that another has published there meanwhile stays.
void publish(const fs::path& temporary, const fs::path& file) {
  fsync_path(temporary);
  const char *from = temporary.c_str(), *to = file.c_str();
  bool there = ::link(from, to) == 0 || errno == EEXIST;
  if (!there)  // perhaps a file system without hard links
    there = ::renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0 || errno == EEXIST;
  if (!there) fail(file, errno);
  fsync_path(file.has_parent_path() ? file.parent_path() : fs::path("."));
}

// Readable by its owner alone from the first byte on, and whole or not there at all.
void write_key(const fs::path& file) {
  const PendingPath pending(file);
  const std::string key = random_key_hex() + "\n";
  const int descriptor =
      ::open(pending.temporary().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  const ssize_t written = descriptor < 0 ? -1 : ::write(descriptor, key.data(), key.size());
  const int code = written >= 0 ? ENOSPC : errno;  // a short write means a full disk
  if (descriptor >= 0) ::close(descriptor);
  if (written != std::ssize(key)) fail(file, code);
  publish(pending.temporary(), file);
}

}  // namespace

std::string read_or_make_key(const fs::path& file) {
  if (!fs::exists(file)) write_key(file);
  std::ifstream in(file);
  std::string key;
  if (!(in >> key) || key.size() < 32) {
    throw Error(Fault::Data, "key file " + file.string() + " holds no key of 32 characters or more",
                "give the file made by an earlier catalogue, or remove it to make a new key (ids "
                "then change)");
  }
  return key;
}

}  // namespace homolog::import
