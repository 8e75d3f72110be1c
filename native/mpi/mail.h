#pragma once

#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

/// Memory of a letter. It begins at a multiple of 8 bytes. Without enough of it `data` is null.
struct Block {
  std::shared_ptr<uint8_t[]> data;
  size_t size = 0;

  static Block of(size_t size);
};

/// Letters between ranks, beside the exchanges. The first 8 bytes of a letter are its length in bytes, as a double.
/// Those from one rank to another arrive in order.
///
/// A letter is over when the receiver has taken it, or has begun to: then it needs no more of the sender. A rank
/// receives a letter only if it expects one. What is sent to it meanwhile stays in the memory of the sender.
///
/// The thread of JavaScript gives letters and takes them. The thread of MPI carries them; its functions return the code
/// of an error of MPI. It calls nothing of MPI here while the mail is not busy.
class Mail {
 public:
  /// What `advance` has done.
  struct Progress {
    bool hasMoved = false;  // whether bytes have come or gone
    int over = 0;           // letters that have come, or that are over
  };

  // For the thread of JavaScript.

  void send(int to, Block letter);
  /// Whether all letters to a rank are over.
  bool isSent(int to) const { return ranks_[to].unsent.load(std::memory_order_acquire) == 0; }
  /// Lets the next letter of a rank come: one at a time.
  void expect(int from);
  /// The memory of the letter that was expected, valid until the next `expect`; null if it has not come.
  const Block* take(int from);
  /// Whether a letter is expected, or is not over.
  bool isBusy() const { return busy_.load(std::memory_order_acquire) > 0; }

  // For the thread of MPI.

  /// Makes a communicator of its own. All ranks call it.
  int open(MPI_Comm comm);
  int advance(Progress& progress);
  /// Ends the mail when it is called until `isOver`, by all ranks. Letters that nobody expects are received and
  /// dropped, because MPI does not end before each has arrived.
  int close(bool& isOver);

 private:
  /// Sends or receives of the pieces of one letter.
  class Pieces {
   public:
    MPI_Request* add();
    /// Looks at them, in order. @returns the code of an error
    int look(bool& hasMoved);
    bool areOver() const { return over_ == all_.size(); }
    void clear();

   private:
    std::vector<MPI_Request> all_;
    size_t over_ = 0;
  };
  enum class Stage : int { kIdle, kExpected, kFirstPiece, kRest, kHere };
  struct Rank {
    std::atomic<int> unsent{0};
    std::atomic<Stage> stage{Stage::kIdle};
    Block inbox;
    Pieces pieces;
  };
  struct Sending {
    int to;
    Block letter;
    Pieces pieces;
  };

  int post();
  int lookAtSends(Progress& progress);
  int receive(int from, Progress& progress);
  int receiveFirst(int from, Rank& rank);
  int receiveRest(int from, Rank& rank, size_t length);
  int drop();

  MPI_Comm comm_ = MPI_COMM_NULL;
  int size_ = 0;
  std::unique_ptr<Rank[]> ranks_;
  std::atomic<int> busy_{0};

  std::mutex mutex_;
  std::vector<Sending> given_;  // by the thread of JavaScript

  std::vector<Sending> sending_;
  MPI_Request barrier_ = MPI_REQUEST_NULL;
  bool isEnding_ = false;
  std::vector<uint8_t> dropped_;
};
