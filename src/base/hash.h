// Hashes: xxh3 for integrity (fast, not secret), HMAC-SHA-256 for pseudonyms (keyed, one-way).
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace homolog {

std::uint64_t xxh3_64(std::span<const std::byte> bytes, std::uint64_t seed = 0);
std::uint64_t xxh3_64(std::string_view text, std::uint64_t seed = 0);
std::string hex64(std::uint64_t value);  // 16 lower-case digits

// Incremental xxh3-64 over several pieces.
class Xxh3 {
 public:
  Xxh3();
  ~Xxh3();
  Xxh3(const Xxh3&) = delete;
  Xxh3& operator=(const Xxh3&) = delete;
  Xxh3& update(const void* data, std::size_t bytes);
  std::uint64_t digest() const;

 private:
  void* state_;
};

std::uint64_t xxh3_64_file(const std::filesystem::path& file);  // throws Fault::Data if unreadable

std::string hmac_sha256_hex(std::string_view key, std::string_view text);  // 64 digits
std::string random_key_hex();  // 32 bytes from the system's generator, 64 digits

}  // namespace homolog
