#include "communicator.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <algorithm>
#include <thread>

namespace {
using std::chrono::microseconds;
using std::chrono::milliseconds;

/// Tags of what ranks tell each other beside the exchanges.
constexpr int kCauseTag = 1000;

/// MPI would spin for ever. Most messages in shared memory come within this time.
constexpr microseconds kSpin(50);
/// Who waits so long gives way to what else may run.
constexpr microseconds kHold(10);
/// The longest time that an exchange may hold the event loop.
constexpr microseconds kInPerson(1000);
/// Long messages go in pieces, each of which needs a call of MPI: so nobody sleeps while they may be under way.
constexpr std::chrono::nanoseconds kPerByte(2);
/// Ranks that wait longer must not hold a core that others compute on.
constexpr milliseconds kShort(5);
constexpr milliseconds kLong(1000);
/// The longest time that a broken world goes on telling why.
constexpr milliseconds kTelling(5000);
/// Before MPI_Finalize: longer than a busy machine keeps a rank waiting for a core.
[[maybe_unused]] constexpr milliseconds kRest(300);
}  // namespace

void Communicator::join(std::function<void()> wake) {
  wake_ = std::move(wake);
  state_.store(State::kPending, std::memory_order_release);
  std::thread([this] { run(); }).detach();
}

uint8_t* Communicator::memory(size_t bytes) {
  void* memory = nullptr;
  if (posix_memalign(&memory, 64, bytes) != 0) return nullptr;
  memset(memory, 0, bytes);
  memory_ = static_cast<uint8_t*>(memory);
  return memory_;
}

void Communicator::exchange(const std::vector<Message>& messages, int tag) {
  if (isBroken_.load(std::memory_order_relaxed)) return;
  count_ = messages.size();
  tag_ = tag;
  for (size_t i = 0; i < count_; i++) {
    slots_[i].message = messages[i];
    slots_[i].isDone.store(false, std::memory_order_relaxed);
  }
  Clock::duration busy{};
  for (const Message& message : messages) busy += kPerByte * message.bytes;
  busy_.store(busy, std::memory_order_relaxed);
  if (!isShared_ || mail_.isBusy()) return give(Order::kExchange);
  // The thread is idle, and calls nothing of MPI until it gets an order.
  isInPerson_ = true;
  begunAt_ = Clock::now();
  state_.store(State::kPending, std::memory_order_release);
  begin();
  wait(std::min<Clock::duration>(kSpin + busy, kInPerson));
}

/// Makes the exchange until it is over, at most so long.
void Communicator::wait(Clock::duration most) {
  const auto until = Clock::now() + most;
  while (!look()) {
    const auto now = Clock::now();
    if (now > until) return;
    const auto waited = now - begunAt_;
    if (isSpinning_ && waited < kHold) continue;
    const auto rest = restAfter(waited);
    // On a busy machine a core that was given away comes back late.
    if (rest == Clock::duration::zero())
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(rest);
  }
  isInPerson_ = false;
}

/// Gives the exchange to the thread.
void Communicator::handOver() {
  if (isInPerson_) give(Order::kGoOn);
}

void Communicator::leave() { give(Order::kLeave); }

void Communicator::watchMail(std::function<void()> wake) {
  std::lock_guard<std::mutex> lock(mutex_);
  wakeMail_ = std::move(wake);
}

void Communicator::send(int to, Block letter) {
  handOver();
  mail_.send(to, std::move(letter));
  stir();
}

void Communicator::expect(int from) {
  handOver();
  mail_.expect(from);
  stir();
}

/// Lets the thread look at the mail at once.
void Communicator::stir() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    isStirred_ = true;
  }
  ordered_.notify_one();
}

bool Communicator::arm() {
  handOver();
  std::lock_guard<std::mutex> lock(mutex_);
  if (state() != State::kPending) return false;
  isArmed_ = true;
  return true;
}

void Communicator::block(microseconds most) {
  if (isInPerson_) return wait(most);
  std::unique_lock<std::mutex> lock(mutex_);
  over_.wait_for(lock, most, [this] { return state() != State::kPending; });
}

std::vector<int> Communicator::missing() const {
  std::vector<int> ranks;
  for (size_t i = 0; i < count_; i++)
    if (!slots_[i].isDone.load(std::memory_order_relaxed)) ranks.push_back(slots_[i].message.rank);
  std::sort(ranks.begin(), ranks.end());
  ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
  return ranks;
}

std::string Communicator::cause() {
  std::lock_guard<std::mutex> lock(mutex_);
  return std::string(causeIn_.data());
}

std::string Communicator::error() {
  std::lock_guard<std::mutex> lock(mutex_);
  return error_;
}

void Communicator::tell(const std::string& cause) {
  const size_t length = std::min(cause.size(), kCauseBytes - 1);
  memcpy(causeOut_.data(), cause.data(), length);
  causeOut_[length] = 0;
  give(Order::kTell);
}

void Communicator::abort(int code) {
  int isInitialized = 0;
  int isFinalized = 0;
  MPI_Initialized(&isInitialized);
  MPI_Finalized(&isFinalized);
  if (!isInitialized || isFinalized) _exit(code);
  give(Order::kPark);
  // The thread may hang in MPI. There is no better end then than the same call from here.
  for (int i = 0; i < 2000 && !isParked_.load(std::memory_order_acquire); i++)
    std::this_thread::sleep_for(milliseconds(1));
  MPI_Abort(MPI_COMM_WORLD, code);
  _exit(code);
}

void Communicator::give(Order order) {
  isInPerson_ = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (order == Order::kTell || order == Order::kPark) isBroken_.store(true, std::memory_order_relaxed);
    state_.store(isBroken_.load(std::memory_order_relaxed) ? State::kBroken : State::kPending,
                 std::memory_order_release);
    order_.store(order, std::memory_order_release);
  }
  ordered_.notify_one();
}

/// The next order. Does not wait for one while there is something to do.
Communicator::Order Communicator::take() {
  if (!isExchanging_ && !isTelling() && !hasMail()) {
    std::unique_lock<std::mutex> lock(mutex_);
    ordered_.wait(lock, [this] { return order_.load(std::memory_order_acquire) != Order::kNone || hasMail(); });
  }
  return order_.exchange(Order::kNone, std::memory_order_acq_rel);
}

void Communicator::finish(State state) {
  bool isArmed;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (state == State::kBroken) isBroken_.store(true, std::memory_order_relaxed);
    // An exchange that was given up meanwhile stays so.
    if (state == State::kBroken || state_.load(std::memory_order_relaxed) == State::kPending)
      state_.store(state, std::memory_order_release);
    isArmed = isArmed_;
    isArmed_ = false;
  }
  over_.notify_all();
  if (isArmed) wake_();
  if (state == State::kBroken) wakeMail();
}

void Communicator::wakeMail() {
  std::function<void()> wake;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    wake = wakeMail_;
  }
  wake();
}

void Communicator::run() {
#ifdef __linux__
  // A sleep of 20 us would take 70 to 120.
  prctl(PR_SET_TIMERSLACK, 1000);
#endif
  initialize();
  for (;;) {
    const Order order = take();
    if (order != Order::kNone) moved_ = Clock::now();
    switch (order) {
      case Order::kNone:
        break;
      case Order::kExchange:
      case Order::kGoOn:
        isExchanging_ = !isBroken_.load(std::memory_order_relaxed);
        if (!isExchanging_)
          finish(State::kBroken);
        else if (order == Order::kExchange)
          begin();
        break;
      case Order::kTell:
        isExchanging_ = false;
        sendCause();
        wakeMail();
        break;
      case Order::kLeave:
        if (!closeMail()) break;
        if (causeRequest_ != MPI_REQUEST_NULL) {
          MPI_Cancel(&causeRequest_);
          MPI_Wait(&causeRequest_, MPI_STATUS_IGNORE);
        }
        MPI_Comm_free(&comm_);
        if (mustRest()) std::this_thread::sleep_for(kRest);
        MPI_Finalize();
        finish(State::kDone);
        return;
      case Order::kPark:
        isParked_.store(true, std::memory_order_release);
        return;
    }
    if (isExchanging_ && look()) isExchanging_ = false;
    if (hasMail()) carryMail();
    if (isExchanging_ || isTelling() || hasMail()) pause();
  }
}

void Communicator::initialize() {
  int provided = 0;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided);
  isShared_ = provided >= MPI_THREAD_SERIALIZED;
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_rank(MPI_COMM_WORLD, &place_.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &place_.size);
  MPI_Comm local;
  // Now: these are collectives, and would later wait for a rank that does not come.
  if (!check(MPI_Comm_dup(MPI_COMM_WORLD, &comm_)) || !check(mail_.open(MPI_COMM_WORLD)) ||
      !check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &local)))
    return finish(State::kBroken);
  MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
  MPI_Comm_rank(local, &place_.localRank);
  MPI_Comm_size(local, &place_.localSize);
  MPI_Comm_free(&local);
  // Ranks that share cores give way at once.
  isSpinning_ = place_.localSize <= static_cast<int>(std::thread::hardware_concurrency());
  slots_.reset(new Slot[2 * place_.size]);
  MPI_Irecv(causeIn_.data(), static_cast<int>(kCauseBytes), MPI_CHAR, MPI_ANY_SOURCE, kCauseTag, comm_, &causeRequest_);
  finish(State::kDone);
}

/// Whether MPI_Finalize may hang. MPICH before 4.2 lets a rank ask the others over UCX whether all has arrived there,
/// and then wait for them where it gives no answers. If a rank asks while another still looks for messages, it has its
/// answer and waits, and the other asks in vain (github.com/pmodels/mpich/pull/6596). On one host nobody asks.
bool Communicator::mustRest() const {
#if defined(MPICH_NUMVERSION) && MPICH_NUMVERSION < 40200000
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  MPI_Get_library_version(text, &length);
  return place_.localSize < place_.size && strstr(text, "ch4:ucx") != nullptr;
#else
  return false;
#endif
}

void Communicator::begin() {
  for (size_t i = 0; i < count_; i++) {
    Slot& slot = slots_[i];
    const Message& m = slot.message;
    uint8_t* const at = memory_ + m.offset;
    if (!check(m.isSend ? MPI_Isend(at, m.bytes, MPI_BYTE, m.rank, tag_, comm_, &slot.request)
                        : MPI_Irecv(at, m.most, MPI_BYTE, m.rank, tag_, comm_, &slot.request)))
      return;
  }
}

/// Looks at the exchange. Returns whether it is over.
bool Communicator::look() {
  const bool isOver = error_.empty() && progress();
  // What another rank told before may lie behind the last message.
  const bool isBroken = hasCause() || (isOver && hasCause()) || !error_.empty();
  if (!isOver && !isBroken) return false;
  finish(isBroken ? State::kBroken : State::kDone);
  return true;
}

void Communicator::carryMail() {
  Mail::Progress progress;
  if (hasCause() || !check(mail_.advance(progress))) {
    isExchanging_ = false;
    return finish(State::kBroken);
  }
  if (progress.hasMoved) moved_ = Clock::now();
  if (progress.over > 0) wakeMail();
}

/// Waits until no rank has letters under way. Returns false if the world breaks meanwhile.
bool Communicator::closeMail() {
  for (bool isOver = false; !isOver; pause()) {
    if (order_.load(std::memory_order_acquire) != Order::kNone) return false;
    if (hasCause() || !check(mail_.close(isOver))) {
      finish(State::kBroken);
      return false;
    }
  }
  return true;
}

/// Whether all messages have come and gone. It tests one by one: an MPI_Testall that says no leaves finished requests
/// looking unfinished, and the wrong ranks would be blamed.
bool Communicator::progress() {
  bool isOver = true;
  for (size_t i = 0; i < count_; i++) {
    Slot& slot = slots_[i];
    if (slot.isDone.load(std::memory_order_relaxed)) continue;
    int isDone = 0;
    if (!check(MPI_Test(&slot.request, &isDone, MPI_STATUS_IGNORE))) return false;
    if (isDone)
      slot.isDone.store(true, std::memory_order_relaxed);
    else
      isOver = false;
  }
  return isOver;
}

/// Whether another rank has told why the world is broken.
bool Communicator::hasCause() {
  if (causeRequest_ == MPI_REQUEST_NULL) return false;
  int isHere = 0;
  return check(MPI_Test(&causeRequest_, &isHere, MPI_STATUS_IGNORE)) && isHere;
}

void Communicator::sendCause() {
  toldAt_ = Clock::now();
  for (int rank = 0; rank < place_.size; rank++) {
    if (rank == place_.rank) continue;
    telling_.push_back(MPI_REQUEST_NULL);
    MPI_Isend(causeOut_.data(), static_cast<int>(kCauseBytes), MPI_CHAR, rank, kCauseTag, comm_, &telling_.back());
  }
}

/// Whether some rank has not been told yet.
bool Communicator::isTelling() {
  if (telling_.empty()) return false;
  const auto isSent = [this](MPI_Request& request) {
    int isDone = 0;
    return MPI_Test(&request, &isDone, MPI_STATUS_IGNORE) != MPI_SUCCESS || isDone;
  };
  telling_.erase(std::remove_if(telling_.begin(), telling_.end(), isSent), telling_.end());
  if (Clock::now() - toldAt_ > kTelling) telling_.clear();
  return !telling_.empty();
}

/// How long to sleep before the next look: the longer, the longer nothing has moved.
Communicator::Clock::duration Communicator::restAfter(Clock::duration waited) const {
  if ((isSpinning_ && waited < kSpin) || waited < busy_.load(std::memory_order_relaxed)) return microseconds(0);
  return waited < kShort ? microseconds(20) : waited < kLong ? microseconds(200) : milliseconds(1);
}

/// Waits a little before the next look.
void Communicator::pause() {
  const auto most = restAfter(Clock::now() - moved_);
  if (most == Clock::duration::zero()) return std::this_thread::yield();
  std::unique_lock<std::mutex> lock(mutex_);
  const auto hasWork = [this] { return isStirred_ || order_.load(std::memory_order_relaxed) != Order::kNone; };
  if (!ordered_.wait_for(lock, most, hasWork)) return;
  isStirred_ = false;
  moved_ = Clock::now();
}

bool Communicator::check(int code) {
  if (code == MPI_SUCCESS) return true;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  std::lock_guard<std::mutex> lock(mutex_);
  error_.assign(text, static_cast<size_t>(length));
  return false;
}
