#pragma once
#include <node_api.h>

struct KernelSet;

/// Adds dot, axpby, multiply, maxAbs, maxAbsDifference, project, addCombination, gemmInPlace and gram of one
/// instruction set to `exports`.
void defineLinalg(napi_env env, napi_value exports, const KernelSet& set);
