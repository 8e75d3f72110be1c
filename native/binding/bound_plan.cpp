#include "bound_plan.h"

#include <new>
#include <stdexcept>

#include "../engine/allocator.h"

namespace {
constexpr size_t kFloatsOfDouble = sizeof(double) / sizeof(float);

StepConstants constantsIn(float* memory, size_t count, size_t stride, size_t numberCount) {
  float* const numbers = memory + sizeof(Control) / sizeof(float);
  float* const rows = numbers + count * numberCount * kFloatsOfDouble;
  const int32_t* const rowOf = reinterpret_cast<int32_t*>(rows + count * stride);
  StepConstants constants = {reinterpret_cast<Control*>(memory), rows, stride, rowOf};
  if (numberCount == 0) return constants;
  constants.numberCount = numberCount;
  constants.numbers = reinterpret_cast<double*>(numbers);
  constants.scopeOf = rowOf + count;
  return constants;
}
}  // namespace

BoundPlan::BoundPlan(const KernelSet& set, size_t count, size_t stride, size_t numberCount, float* memory)
    : plan_(set, count, constantsIn(memory, count, stride, numberCount)),
      control_(reinterpret_cast<Control*>(memory)),
      tensors_(count) {}

size_t BoundPlan::floatsFor(size_t count, size_t stride, size_t numberCount) {
  const size_t ofNumbers = numberCount == 0 ? 0 : numberCount * kFloatsOfDouble + 1;
  return sizeof(Control) / sizeof(float) + count * (stride + 1 + ofNumbers);
}

void BoundPlan::Watch::set(napi_env env, napi_value value, const void* memory, size_t count) {
  clear(env);
  if (napi_create_reference(env, value, 1, &array) != napi_ok) throw std::runtime_error("no reference to an array");
  data = memory;
  length = count;
}

void BoundPlan::Watch::clear(napi_env env) {
  if (array != nullptr) napi_delete_reference(env, array);
  array = nullptr;
  data = nullptr;
  length = 0;
}

/// Memory of the same length is at the same address: only detaching moves it, and that sets the length to 0.
bool BoundPlan::Watch::isValid(napi_env env) const {
  if (array == nullptr) return true;
  napi_value value = nullptr;
  size_t found = 0;
  return napi_get_reference_value(env, array, &value) == napi_ok && value != nullptr &&
         napi_get_typedarray_info(env, value, nullptr, &found, nullptr, nullptr, nullptr) == napi_ok && found == length;
}

/// A SharedArrayBuffer can be neither detached nor shrunk.
bool BoundPlan::Watch::isShared(napi_env env) const {
  napi_value value = nullptr, buffer = nullptr;
  bool isPlain = true;
  return napi_get_reference_value(env, array, &value) == napi_ok && value != nullptr &&
         napi_get_typedarray_info(env, value, nullptr, nullptr, nullptr, &buffer, nullptr) == napi_ok &&
         napi_is_arraybuffer(env, buffer, &isPlain) == napi_ok && !isPlain;
}

void BoundPlan::watchMemory(napi_env env, napi_value array, const float* data, size_t length) {
  if (allocator::retain(data)) {
    memory_.data = data;  // no reference: the block stays
  } else {
    memory_.set(env, array, data, length);
  }
}

void BoundPlan::watchParam(napi_env env, size_t i, napi_value array, const float* data, size_t length) {
  tensors_[i].clear(env);
  tensors_[i].param.set(env, array, data, length);
}

void BoundPlan::watchState(napi_env env, size_t i, napi_value array, const float* data, size_t length) {
  tensors_[i].state.emplace_back();
  tensors_[i].state.back().set(env, array, data, length);
}

void BoundPlan::retainBlock(size_t i, const void* block) {
  tensors_[i].blocks.push_back(block);
  allocator::retain(block);
}

void BoundPlan::watchGrad(napi_env env, size_t i, napi_value array, const void* data, size_t length) {
  tensors_[i].grad.set(env, array, data, length);
  tensors_[i].rows.clear(env);
}

void BoundPlan::watchRows(napi_env env, size_t i, napi_value array, const void* data, size_t length) {
  tensors_[i].rows.set(env, array, data, length);
}

void BoundPlan::Watches::clear(napi_env env) {
  for (Watch* watch : {&param, &grad, &rows}) watch->clear(env);
  for (Watch& watch : state) watch.clear(env);
  for (const void* block : blocks) allocator::release(block);
  state.clear();
  blocks.clear();
}

bool BoundPlan::Watches::isValid(napi_env env, bool isActive, Look look) const {
  const bool isSeen = look == Look::kDone;
  if (!isSeen && !param.isValid(env)) return false;
  if (!isActive) return true;
  for (const Watch& watch : state) {
    if (!watch.isValid(env)) return false;
  }
  return isSeen || (grad.isValid(env) && rows.isValid(env));
}

const char* BoundPlan::check(napi_env env, Look look) {
  if (isBusy_) return "a step of this plan runs on another thread";
  if (!memory_.isValid(env)) return "the memory of the plan was detached";
  control_->fault = kNoFault;
  plan_.begin();
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (!plan_.isReady(i)) return "a tensor without a kernel, a gradient or a constants row";
    if (tensors_[i].isValid(env, plan_.isActive(i), look)) continue;
    control_->fault = kMemoryGone;
    control_->faultTensor = static_cast<double>(i);
    break;
  }
  return nullptr;
}

template <class Work>
void BoundPlan::runUnlessFaulty(Work work) {
  if (control_->fault != kNoFault) return;
  try {
    work();
  } catch (const std::exception&) {  // bad_alloc or length_error, before the first write
    control_->fault = kNoMemory;
    control_->faultDetail = 0;
  }
}

void BoundPlan::run() {
  runUnlessFaulty([this] { plan_.run(); });
}

const char* BoundPlan::step(napi_env env, Look look) {
  const char* const error = check(env, look);
  if (error == nullptr) run();
  return error;
}

const char* BoundPlan::measureSums(napi_env env, double* sums) {
  const char* const error = check(env);
  if (error == nullptr) runUnlessFaulty([=] { plan_.measureSums(sums); });
  return error;
}

const char* BoundPlan::stepWithSums(napi_env env, const double* sums) {
  const char* const error = check(env);
  if (error == nullptr) runUnlessFaulty([=] { plan_.runWithSums(sums); });
  return error;
}

bool BoundPlan::retainArrays(napi_env env) {
  bool canMove = memory_.array != nullptr;
  const auto retain = [&](const Watch& watch) {
    if (watch.array == nullptr || watch.length == 0) return;
    if (allocator::retain(watch.data)) {
      retained_.push_back(watch.data);
    } else {
      canMove = canMove || !watch.isShared(env);
    }
  };
  for (const Watches& watches : tensors_) {
    for (const Watch* watch : {&watches.param, &watches.grad, &watches.rows}) retain(*watch);
    for (const Watch& watch : watches.state) retain(watch);
  }
  return canMove;
}

void BoundPlan::releaseArrays() {
  for (const void* block : retained_) allocator::release(block);
  retained_.clear();
}

void BoundPlan::clear(napi_env env) {
  if (memory_.array == nullptr && memory_.data != nullptr) allocator::release(memory_.data);
  memory_.clear(env);
  for (Watches& watches : tensors_) watches.clear(env);
}
