#pragma once
#include <node_api.h>

struct KernelSet;

/// Adds createPlan, setTensor, setGrad, setRowGrad, stepAsync and freePlan of one instruction set to `exports`.
void definePlan(napi_env env, napi_value exports, const KernelSet& set);
