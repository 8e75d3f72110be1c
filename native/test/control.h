#pragma once
#include <math.h>

#include "../engine/plan.h"

/// What the outputs of a control block hold that no step has written to.
constexpr double kUnwritten = -7;

/// The control block of a step that is asked for nothing but the update.
inline Control idle() {
  Control control = {};
  control.gradScale = 1;
  control.maxNorm = INFINITY;
  control.gradNorm = control.applied = control.badTensor = control.badRow = kUnwritten;
  return control;
}
