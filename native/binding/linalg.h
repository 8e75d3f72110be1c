#pragma once
#include <napi.h>

#include "../kernel.h"

/// Adds dot, axpby, multiply, maxAbs, maxAbsDifference, project, addCombination, gemmInPlace and gram of one
/// instruction set to `exports`.
void defineLinalg(Napi::Env env, Napi::Object exports, const KernelSet& set);
