#pragma once
#include <napi.h>

struct KernelSet;

/// Adds createPlan, setTensor, setGrad, setRowGrad and stepAsync of one instruction set to `exports`.
void definePlan(Napi::Env env, Napi::Object exports, const KernelSet& set);
