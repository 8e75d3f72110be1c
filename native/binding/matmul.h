#pragma once
#include <node_api.h>

struct KernelSet;

/// Adds matmul of one instruction set to `exports`.
void defineMatmul(napi_env env, napi_value exports, const KernelSet& set);
