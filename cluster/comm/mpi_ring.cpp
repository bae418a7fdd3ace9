#include "cluster/comm/mpi_ring.h"

#include <algorithm>

#include "cluster/comm/reduction.h"

namespace homolog::comm {
namespace {

constexpr std::size_t kLeastPart = std::size_t{16}
                                   << 10;               // bytes; below, hops cost more than bytes
constexpr std::size_t kPiece = std::size_t{512} << 10;  // a piece is summed while the next comes
constexpr int kTag = 1;

}  // namespace

bool MpiRing::serves(MPI_Comm ranks, const Buffer& buffer) {
  comm_ = ranks;
  check_mpi(MPI_Comm_rank(ranks, &rank_), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(ranks, &ranks_), "MPI_Comm_size");
  return ranks_ > 1 &&
         buffer.count * size_of(buffer.type) >= kLeastPart * static_cast<std::size_t>(ranks_);
}

std::size_t MpiRing::Part::pieces() const { return (bytes + kPiece - 1) / kPiece; }
MpiRing::Part MpiRing::Part::piece(std::size_t index) const {
  return {data + index * kPiece, std::min(kPiece, bytes - index * kPiece)};
}

MpiRing::Part MpiRing::part(const Buffer& buffer, int index) const {
  const auto n = static_cast<std::size_t>(ranks_);
  const auto i = static_cast<std::size_t>(((index % ranks_) + ranks_) % ranks_);
  const std::size_t width = size_of(buffer.type);
  const auto begin = [&](std::size_t p) {
    return buffer.count / n * p + std::min(p, buffer.count % n);
  };
  return {static_cast<std::byte*>(buffer.data) + begin(i) * width,
          (begin(i + 1) - begin(i)) * width};
}

void MpiRing::all_reduce(MpiEngine::Worker& worker, const Buffer& buffer, Reduce how) {
  const std::size_t largest = std::min(kPiece, part(buffer, 0).bytes);
  for (auto& scratch : scratch_) scratch.resize(largest);
  for (int step = 0; step + 1 < ranks_; ++step)
    pass(worker, buffer, rank_ - step, rank_ - step - 1, &how);
  for (int step = 0; step + 1 < ranks_; ++step)
    pass(worker, buffer, rank_ - step + 1, rank_ - step, nullptr);
}

void MpiRing::pass(MpiEngine::Worker& worker, const Buffer& buffer, int out, int in,
                   const Reduce* sum) {
  const Part sent = part(buffer, out), come = part(buffer, in);
  const int next = (rank_ + 1) % ranks_, previous = (rank_ + ranks_ - 1) % ranks_;
  std::array<MPI_Request, 2> sending{MPI_REQUEST_NULL, MPI_REQUEST_NULL}, coming = sending;
  const auto start = [&](std::size_t index) {
    if (index < come.pieces()) {
      const Part piece = come.piece(index);
      void* into = sum == nullptr ? piece.data : scratch_[index % 2].data();
      check_mpi(MPI_Irecv(into, static_cast<int>(piece.bytes), MPI_BYTE, previous, kTag, comm_,
                          &coming[index % 2]),
                "MPI_Irecv");
    }
    if (index < sent.pieces()) {
      const Part piece = sent.piece(index);
      worker.finish(sending[index % 2]);
      check_mpi(MPI_Isend(piece.data, static_cast<int>(piece.bytes), MPI_BYTE, next, kTag, comm_,
                          &sending[index % 2]),
                "MPI_Isend");
    }
  };
  start(0);
  for (std::size_t i = 0; i < std::max(sent.pieces(), come.pieces()); ++i) {
    start(i + 1);
    if (i >= come.pieces()) continue;
    worker.finish(coming[i % 2]);
    const Part piece = come.piece(i);
    if (sum != nullptr)
      combine(scratch_[i % 2].data(), piece.data, piece.bytes / size_of(buffer.type), buffer.type,
              *sum);
  }
  for (MPI_Request& request : sending) worker.finish(request);
}

}  // namespace homolog::comm
