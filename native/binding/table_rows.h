#pragma once
#include <node_api.h>

struct KernelSet;

/// Adds the functions that read rows of tables to an engine.
void defineTableRows(napi_env env, napi_value engine, const KernelSet& set);
