#pragma once

#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "mail.h"

/// Bytes that go to a rank or come from one.
struct Message {
  bool isSend;
  int rank;
  size_t offset;  // in the memory of the communicator
  int bytes;      // expected
  int most;       // that may come
};

/// This rank's place among all ranks, and among those of its machine.
struct Place {
  int rank = 0;
  int size = 1;
  int localRank = 0;
  int localSize = 1;
};

enum class State : int { kIdle, kPending, kDone, kBroken };

/// The ranks of the job. A thread of its own calls MPI, so nobody who waits holds the event loop. Another thread gives
/// it one order at a time and sees the state of the order. Beside that the thread carries letters. While it has nothing
/// to do, the other thread makes an exchange itself, as long as it waits for it anyway: to hand it over and back takes
/// longer than a short one. So MPI need not be safe for two threads at a time.
///
/// Everything is nonblocking, because MPI has no deadlines. A request of MPI cannot be taken back: so messages lie in
/// memory that is never freed, and an exchange that is given up ends the communication for good.
class Communicator {
 public:
  /// The cause of a broken world, as ranks tell it to each other, is at most so long.
  static constexpr size_t kCauseBytes = 2048;

  /// Orders MPI_Init. `wake` is called on the thread when an order that `arm` was called for is over.
  void join(std::function<void()> wake);
  const Place& place() const { return place_; }

  /// Memory for messages, zeroed and aligned to 64 bytes. A second call gives more memory and forgets the first.
  uint8_t* memory(size_t bytes);
  /// Begins sends and receives, and waits for them a little. Messages between two ranks with one tag arrive in order.
  void exchange(const std::vector<Message>& messages, int tag);
  /// Orders MPI_Finalize.
  void leave();

  /// Calls `wake` on the thread when letters have come or are over, and when the world breaks.
  void watchMail(std::function<void()> wake);
  void send(int to, Block letter);
  void expect(int from);
  Mail& mail() { return mail_; }

  State state() const { return state_.load(std::memory_order_acquire); }
  /// Asks for `wake`: from now on the thread does what is to be done. Returns false if the order is over already.
  bool arm();
  /// Waits until the order is over, at most so long.
  void block(std::chrono::microseconds most);
  /// The ranks whose messages of the exchange have not come or gone.
  std::vector<int> missing() const;

  /// Why the world is broken: what another rank told, or the error of MPI.
  std::string cause();
  std::string error();
  /// Gives up the exchange, and tells all other ranks why.
  void tell(const std::string& cause);
  /// Ends the job, from any state.
  [[noreturn]] void abort(int code);

 private:
  using Clock = std::chrono::steady_clock;
  enum class Order : int { kNone, kExchange, kGoOn, kTell, kLeave, kPark };
  struct Slot {
    Message message;
    MPI_Request request = MPI_REQUEST_NULL;
    std::atomic<bool> isDone{true};
  };

  void run();
  void initialize();
  void give(Order order);
  Order take();
  void finish(State state);
  void wakeMail();
  bool mustRest() const;
  void wait(Clock::duration most);
  void handOver();
  void begin();
  bool look();
  bool hasMail() const { return !isBroken_.load(std::memory_order_relaxed) && mail_.isBusy(); }
  void carryMail();
  bool closeMail();
  void stir();
  bool progress();
  bool hasCause();
  void sendCause();
  bool isTelling();
  Clock::duration restAfter(Clock::duration waited) const;
  void pause();
  bool check(int code);

  Place place_;
  MPI_Comm comm_ = MPI_COMM_NULL;
  uint8_t* memory_ = nullptr;
  std::unique_ptr<Slot[]> slots_;
  size_t count_ = 0;
  int tag_ = 0;
  bool isSpinning_ = true;
  bool isShared_ = false;  // whether another thread may call MPI while this one does not
  /// Whether the exchange is in the hands of the thread that has ordered it. Only that thread knows it.
  bool isInPerson_ = false;
  Clock::time_point begunAt_;
  /// How long the messages under way keep MPI busy. A thread that carries letters reads it at any time.
  std::atomic<Clock::duration> busy_{Clock::duration::zero()};
  Clock::time_point moved_;  // when something was ordered, came or went
  Mail mail_;
  std::string error_;

  std::vector<char> causeIn_ = std::vector<char>(kCauseBytes);
  std::vector<char> causeOut_ = std::vector<char>(kCauseBytes);
  MPI_Request causeRequest_ = MPI_REQUEST_NULL;
  std::vector<MPI_Request> telling_;
  Clock::time_point toldAt_;

  std::mutex mutex_;
  std::condition_variable ordered_;
  std::condition_variable over_;
  std::atomic<Order> order_{Order::kNone};
  std::atomic<State> state_{State::kIdle};
  std::atomic<bool> isParked_{false};
  std::atomic<bool> isBroken_{false};
  bool isExchanging_ = false;
  bool isStirred_ = false;
  bool isArmed_ = false;
  std::function<void()> wake_;
  std::function<void()> wakeMail_ = [] {};
};
