#include "mail.h"

#include <string.h>

#include <algorithm>
#include <iterator>
#include <new>

namespace {
constexpr int kTag = 1;
/// Longer letters go in pieces, because MPI counts in int.
constexpr size_t kPiece = size_t{4} << 20;

size_t lengthIn(const Block& letter) {
  double length;
  memcpy(&length, letter.data.get(), sizeof length);
  return static_cast<size_t>(length);
}

/// Makes room for so many bytes, and keeps the first ones.
bool grow(Block& block, size_t size, size_t kept) {
  if (block.size >= size) return true;
  const Block larger = Block::of(size);
  if (larger.data == nullptr) return false;
  memcpy(larger.data.get(), block.data.get(), kept);
  block = larger;
  return true;
}
}  // namespace

Block Block::of(size_t size) { return {std::shared_ptr<uint8_t[]>(new (std::nothrow) uint8_t[size]), size}; }

MPI_Request* Mail::Pieces::add() {
  all_.push_back(MPI_REQUEST_NULL);
  return &all_.back();
}

int Mail::Pieces::look(bool& hasMoved) {
  for (; over_ < all_.size(); over_++) {
    int isOver = 0;
    const int code = MPI_Test(&all_[over_], &isOver, MPI_STATUS_IGNORE);
    if (code != MPI_SUCCESS || !isOver) return code;
    hasMoved = true;
  }
  return MPI_SUCCESS;
}

void Mail::Pieces::clear() {
  all_.clear();
  over_ = 0;
}

void Mail::send(int to, Block letter) {
  ranks_[to].unsent.fetch_add(1, std::memory_order_relaxed);
  busy_.fetch_add(1, std::memory_order_relaxed);
  std::lock_guard<std::mutex> lock(mutex_);
  given_.push_back({to, std::move(letter), {}});
}

void Mail::expect(int from) {
  busy_.fetch_add(1, std::memory_order_relaxed);
  ranks_[from].stage.store(Stage::kExpected, std::memory_order_release);
}

const Block* Mail::take(int from) {
  Rank& rank = ranks_[from];
  if (rank.stage.load(std::memory_order_acquire) != Stage::kHere) return nullptr;
  rank.stage.store(Stage::kIdle, std::memory_order_relaxed);
  return &rank.inbox;
}

int Mail::open(MPI_Comm comm) {
  const int code = MPI_Comm_dup(comm, &comm_);
  if (code != MPI_SUCCESS) return code;
  MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
  MPI_Comm_size(comm_, &size_);
  ranks_.reset(new Rank[size_]);
  return MPI_SUCCESS;
}

int Mail::advance(Progress& progress) {
  int code = post();
  if (code == MPI_SUCCESS) code = lookAtSends(progress);
  for (int from = 0; from < size_ && code == MPI_SUCCESS; from++) code = receive(from, progress);
  // Last: from here on the other thread may call MPI.
  if (code == MPI_SUCCESS) busy_.fetch_sub(progress.over, std::memory_order_release);
  return code;
}

/// Begins to send what was given.
int Mail::post() {
  std::vector<Sending> given;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    given.swap(given_);
  }
  for (Sending& next : given) {
    // Before it is sent: after an error MPI still reads the pieces that are under way.
    sending_.push_back(std::move(next));
    Sending& sending = sending_.back();
    const size_t length = lengthIn(sending.letter);
    for (size_t begin = 0; begin < length; begin += kPiece) {
      const int code = MPI_Issend(sending.letter.data.get() + begin, static_cast<int>(std::min(kPiece, length - begin)),
                                  MPI_BYTE, sending.to, kTag, comm_, sending.pieces.add());
      if (code != MPI_SUCCESS) return code;
    }
  }
  return MPI_SUCCESS;
}

int Mail::lookAtSends(Progress& progress) {
  for (Sending& sending : sending_) {
    const int code = sending.pieces.look(progress.hasMoved);
    if (code != MPI_SUCCESS) return code;
    if (!sending.pieces.areOver()) continue;
    progress.over++;
    ranks_[sending.to].unsent.fetch_sub(1, std::memory_order_release);
  }
  const auto isOver = [](const Sending& sending) { return sending.pieces.areOver(); };
  sending_.erase(std::remove_if(sending_.begin(), sending_.end(), isOver), sending_.end());
  return MPI_SUCCESS;
}

int Mail::receive(int from, Progress& progress) {
  Rank& rank = ranks_[from];
  Stage stage = rank.stage.load(std::memory_order_acquire);
  if (stage == Stage::kExpected) return receiveFirst(from, rank);
  if (stage != Stage::kFirstPiece && stage != Stage::kRest) return MPI_SUCCESS;
  const int code = rank.pieces.look(progress.hasMoved);
  if (code != MPI_SUCCESS || !rank.pieces.areOver()) return code;
  const size_t length = lengthIn(rank.inbox);
  if (stage == Stage::kFirstPiece && length > kPiece) return receiveRest(from, rank, length);
  progress.over++;
  rank.stage.store(Stage::kHere, std::memory_order_release);
  return MPI_SUCCESS;
}

/// Receives the first piece of a letter, which tells the length of the letter.
int Mail::receiveFirst(int from, Rank& rank) {
  int isHere = 0;
  MPI_Message message;
  MPI_Status status;
  const int code = MPI_Improbe(from, kTag, comm_, &isHere, &message, &status);
  if (code != MPI_SUCCESS || !isHere) return code;
  int bytes = 0;
  MPI_Get_count(&status, MPI_BYTE, &bytes);
  if (!grow(rank.inbox, static_cast<size_t>(bytes), 0)) return MPI_ERR_NO_MEM;
  rank.pieces.clear();
  rank.stage.store(Stage::kFirstPiece, std::memory_order_relaxed);
  return MPI_Imrecv(rank.inbox.data.get(), bytes, MPI_BYTE, &message, rank.pieces.add());
}

int Mail::receiveRest(int from, Rank& rank, size_t length) {
  if (!grow(rank.inbox, length, kPiece)) return MPI_ERR_NO_MEM;
  rank.stage.store(Stage::kRest, std::memory_order_relaxed);
  for (size_t begin = kPiece; begin < length; begin += kPiece) {
    const int code = MPI_Irecv(rank.inbox.data.get() + begin, static_cast<int>(std::min(kPiece, length - begin)),
                               MPI_BYTE, from, kTag, comm_, rank.pieces.add());
    if (code != MPI_SUCCESS) return code;
  }
  return MPI_SUCCESS;
}

/// Hoefler et al. 2010, "Scalable communication protocols for dynamic sparse data exchange": a rank whose sends are
/// over comes to a barrier that does not block. When all have come, no letter is under way.
int Mail::close(bool& isOver) {
  Progress ignored;
  // A letter that is given later stays here: nobody would drop it, and MPI does not end before it has arrived.
  int code = isEnding_ ? MPI_SUCCESS : post();
  if (code == MPI_SUCCESS) code = lookAtSends(ignored);
  if (code == MPI_SUCCESS) code = drop();
  if (code == MPI_SUCCESS && !isEnding_ && sending_.empty()) {
    isEnding_ = true;
    code = MPI_Ibarrier(comm_, &barrier_);
  }
  int isHere = 0;
  if (code == MPI_SUCCESS && isEnding_) code = MPI_Test(&barrier_, &isHere, MPI_STATUS_IGNORE);
  if (code != MPI_SUCCESS || !isHere) return code;
  // Pieces may still be arriving: that their sends are over says only that they will.
  for (int from = 0; from < size_; from++) {
    Pieces& pieces = ranks_[from].pieces;
    code = pieces.look(ignored.hasMoved);
    if (code != MPI_SUCCESS || !pieces.areOver()) return code;
  }
  isOver = true;
  return MPI_Comm_free(&comm_);
}

/// Receives a piece that nobody expects.
int Mail::drop() {
  int isHere = 0;
  MPI_Message message;
  MPI_Status status;
  const int code = MPI_Improbe(MPI_ANY_SOURCE, kTag, comm_, &isHere, &message, &status);
  if (code != MPI_SUCCESS || !isHere) return code;
  int bytes = 0;
  MPI_Get_count(&status, MPI_BYTE, &bytes);
  dropped_.resize(static_cast<size_t>(bytes));
  return MPI_Mrecv(dropped_.data(), bytes, MPI_BYTE, &message, MPI_STATUS_IGNORE);
}
