#pragma once
#include <math.h>

#include "../engine/plan.h"

/// Initial value of the outputs: no step has written to them.
constexpr double kUnwritten = -7;

/// The control block of a step that only updates.
inline Control idle() {
  Control control = {};
  control.gradScale = 1;
  control.maxNorm = INFINITY;
  control.gradNorm = control.applied = control.fault = control.faultTensor = control.faultDetail = kUnwritten;
  return control;
}
