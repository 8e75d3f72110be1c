#pragma once
#include <napi.h>

#include "../kernel.h"

/// Adds dot, combine, multiply, maxAbs, maxAbsDifference, project, addCombination, recombine and gram to an engine.
void defineVectors(Napi::Env env, Napi::Object exports, const KernelSet& set);
