#pragma once
#include <node_api.h>

struct KernelSet;

/// Adds eigenvectors, inverseRoot and orthonormalize of one instruction set to `exports`.
void defineEigen(napi_env env, napi_value exports, const KernelSet& set);
