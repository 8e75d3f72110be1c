// What lib/distributed/mpi calls. There is one communicator a process, because MPI can be initialized once.
#include <napi.h>
#include <signal.h>
#include <string.h>

#include <atomic>

#include "communicator.h"

namespace {
/// Raised when what JavaScript calls changes, so that an old build is not used with a new package.
constexpr int kVersion = 3;

/// Never destroyed: process.exit() runs destructors of static objects while the thread still uses them.
Communicator& communicator = *new Communicator;
Napi::ThreadSafeFunction& waker = *new Napi::ThreadSafeFunction;
Napi::ThreadSafeFunction& mailWaker = *new Napi::ThreadSafeFunction;

/// What JavaScript sees of a rank's letters.
struct Inbox {
  const uint8_t* data = nullptr;
  Napi::Reference<Napi::ArrayBuffer> buffer;
};
std::vector<Inbox>& inboxes = *new std::vector<Inbox>;

std::atomic<int> lastSignal{0};
struct sigaction nodesInterrupt, nodesTerminate;

/// Notes the signal, then does what Node does.
void onSignal(int number, siginfo_t* details, void* context) {
  lastSignal.store(number, std::memory_order_relaxed);
  const struct sigaction& next = number == SIGINT ? nodesInterrupt : nodesTerminate;
  if (next.sa_flags & SA_SIGINFO)
    next.sa_sigaction(number, details, context);
  else if (next.sa_handler != SIG_DFL && next.sa_handler != SIG_IGN)
    next.sa_handler(number);
}

Napi::Value undefined(const Napi::CallbackInfo& info) { return info.Env().Undefined(); }

int integer(const Napi::CallbackInfo& info, size_t i) { return info[i].As<Napi::Number>().Int32Value(); }

/// Who waits holds the event loop.
Napi::ThreadSafeFunction wakerOf(const Napi::Value& wake) {
  auto waker = Napi::ThreadSafeFunction::New(wake.Env(), wake.As<Napi::Function>(), "schuss MPI", 0, 1);
  waker.Unref(wake.Env());
  return waker;
}

// library() => 'Open MPI v4.1.4, …'. May be called before join().
Napi::Value library(const Napi::CallbackInfo& info) {
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  MPI_Get_library_version(text, &length);
  return Napi::String::New(info.Env(), text, static_cast<size_t>(length));
}

// join(wake): wake() is called when an order is over that arm() was called for
Napi::Value join(const Napi::CallbackInfo& info) {
  waker = wakerOf(info[0]);
  communicator.join([] { waker.NonBlockingCall(); });
  return undefined(info);
}

// place() => [rank, size, localRank, localSize], after join
Napi::Value place(const Napi::CallbackInfo& info) {
  const Place& place = communicator.place();
  Napi::Array list = Napi::Array::New(info.Env());
  uint32_t i = 0;
  for (const int n : {place.rank, place.size, place.localRank, place.localSize}) list[i++] = n;
  return list;
}

// memory(bytes) => ArrayBuffer that messages lie in
Napi::Value memory(const Napi::CallbackInfo& info) {
  const size_t bytes = static_cast<size_t>(info[0].As<Napi::Number>().Int64Value());
  uint8_t* const memory = communicator.memory(bytes);
  if (memory == nullptr) {
    Napi::Error::New(info.Env(), "init: not enough memory for the messages of MPI").ThrowAsJavaScriptException();
    return Napi::Value();
  }
  return Napi::ArrayBuffer::New(info.Env(), memory, bytes);
}

// state() => 0 idle, 1 pending, 2 done, 3 broken
Napi::Value state(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<int>(communicator.state()));
}

// exchange(table, count, tag) => state: `count` rows of five integers: 1 for a send or 0 for a receive, rank, offset,
// bytes, most
Napi::Value exchange(const Napi::CallbackInfo& info) {
  const auto table = info[0].As<Napi::Int32Array>();
  const size_t count = static_cast<size_t>(integer(info, 1));
  std::vector<Message> messages;
  messages.reserve(count);
  for (const int32_t* row = table.Data(); messages.size() < count; row += 5)
    messages.push_back({row[0] == 1, row[1], static_cast<size_t>(row[2]), row[3], row[4]});
  communicator.exchange(messages, integer(info, 2));
  return state(info);
}

Napi::Value leave(const Napi::CallbackInfo& info) {
  communicator.leave();
  return undefined(info);
}

// watchMail(wake): wake() is called when letters have come or are over, and when the world breaks
Napi::Value watchMail(const Napi::CallbackInfo& info) {
  inboxes.resize(static_cast<size_t>(communicator.place().size));
  mailWaker = wakerOf(info[0]);
  communicator.watchMail([] { mailWaker.NonBlockingCall(); });
  return undefined(info);
}

// send(to, parts): the bytes of a letter as Uint8Arrays, which may be changed at once
Napi::Value send(const Napi::CallbackInfo& info) {
  const auto parts = info[1].As<Napi::Array>();
  std::vector<Napi::Uint8Array> list;
  size_t size = 0;
  for (uint32_t i = 0; i < parts.Length(); i++) {
    list.push_back(parts.Get(i).As<Napi::Uint8Array>());
    size += list.back().ByteLength();
  }
  Block letter = Block::of(size);
  if (letter.data == nullptr) {
    Napi::Error::New(info.Env(), "World: not enough memory for a message").ThrowAsJavaScriptException();
    return Napi::Value();
  }
  uint8_t* at = letter.data.get();
  for (const Napi::Uint8Array& part : list) {
    if (part.ByteLength() > 0) memcpy(at, part.Data(), part.ByteLength());
    at += part.ByteLength();
  }
  communicator.send(integer(info, 0), std::move(letter));
  return undefined(info);
}

// isSent(to) => whether no letter to a rank is under way
Napi::Value isSent(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), communicator.mail().isSent(integer(info, 0)));
}

// expect(from): lets the next letter of a rank come
Napi::Value expect(const Napi::CallbackInfo& info) {
  communicator.expect(integer(info, 0));
  return undefined(info);
}

// take(from) => ArrayBuffer that begins with the letter of a rank, valid until the next expect(from); undefined if it
// has not come
Napi::Value take(const Napi::CallbackInfo& info) {
  const Block* const letter = communicator.mail().take(integer(info, 0));
  if (letter == nullptr) return undefined(info);
  // The same object while the memory is the same: V8 allows one.
  Inbox& inbox = inboxes[static_cast<size_t>(integer(info, 0))];
  if (inbox.data != letter->data.get()) {
    auto* const owner = new std::shared_ptr<uint8_t[]>(letter->data);
    const auto release = [](Napi::Env, void*, std::shared_ptr<uint8_t[]>* owner) { delete owner; };
    const auto buffer = Napi::ArrayBuffer::New(info.Env(), owner->get(), letter->size, release, owner);
    inbox.data = letter->data.get();
    inbox.buffer = Napi::Persistent(buffer);
  }
  return inbox.buffer.Value();
}

Napi::Value arm(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), communicator.arm()); }

// block(ms)
Napi::Value block(const Napi::CallbackInfo& info) {
  const double us = info[0].As<Napi::Number>().DoubleValue() * 1000;
  communicator.block(std::chrono::microseconds(static_cast<int64_t>(us)));
  return undefined(info);
}

// missing() => ranks
Napi::Value missing(const Napi::CallbackInfo& info) {
  Napi::Array list = Napi::Array::New(info.Env());
  uint32_t i = 0;
  for (const int rank : communicator.missing()) list[i++] = rank;
  return list;
}

Napi::Value cause(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), communicator.cause()); }
Napi::Value error(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), communicator.error()); }

// tell(cause)
Napi::Value tell(const Napi::CallbackInfo& info) {
  communicator.tell(info[0].As<Napi::String>().Utf8Value());
  return undefined(info);
}

// watchSignals(): from now on signal() tells of SIGINT and SIGTERM. Node must listen to them already.
Napi::Value watchSignals(const Napi::CallbackInfo& info) {
  for (const int number : {SIGINT, SIGTERM}) {
    struct sigaction own = {};
    own.sa_sigaction = onSignal;
    own.sa_flags = SA_SIGINFO | SA_RESTART;
    sigfillset(&own.sa_mask);
    sigaction(number, &own, number == SIGINT ? &nodesInterrupt : &nodesTerminate);
  }
  return undefined(info);
}

// signal() => number of the last one, or 0
Napi::Value signalOf(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), lastSignal.load(std::memory_order_relaxed));
}

// abort(code)
Napi::Value abort(const Napi::CallbackInfo& info) { communicator.abort(integer(info, 0)); }

Napi::Object load(Napi::Env env, Napi::Object exports) {
  exports["version"] = kVersion;
  exports["causeBytes"] = static_cast<double>(Communicator::kCauseBytes);
  const auto add = [&](const char* name, Napi::Value (*f)(const Napi::CallbackInfo&)) {
    exports[name] = Napi::Function::New(env, f, name);
  };
  add("library", library);
  add("join", join);
  add("place", place);
  add("memory", memory);
  add("exchange", exchange);
  add("leave", leave);
  add("watchMail", watchMail);
  add("send", send);
  add("isSent", isSent);
  add("expect", expect);
  add("take", take);
  add("state", state);
  add("arm", arm);
  add("block", block);
  add("missing", missing);
  add("cause", cause);
  add("error", error);
  add("tell", tell);
  add("watchSignals", watchSignals);
  add("signal", signalOf);
  add("abort", abort);
  return exports;
}
}  // namespace

NODE_API_MODULE(schuss_mpi, load)
