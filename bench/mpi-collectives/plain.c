// MPI's own reduction, for ranks that schuss has joined.
#include <mpi.h>
#include <node_api.h>

// allReduce(x: Float32Array, count): `count` sums of x over all ranks, in place
static napi_value all_reduce(napi_env env, napi_callback_info info) {
  napi_value arguments[2];
  size_t given = 2;
  size_t length = 0;
  void* x = NULL;
  int32_t count = 0;
  napi_get_cb_info(env, info, &given, arguments, NULL, NULL);
  napi_get_typedarray_info(env, arguments[0], NULL, &length, &x, NULL, NULL);
  napi_get_value_int32(env, arguments[1], &count);
  for (int32_t i = 0; i < count; i++) MPI_Allreduce(MPI_IN_PLACE, x, (int)length, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
  return NULL;
}

NAPI_MODULE_INIT() {
  napi_value function = NULL;
  napi_create_function(env, "allReduce", NAPI_AUTO_LENGTH, all_reduce, NULL, &function);
  napi_set_named_property(env, exports, "allReduce", function);
  return exports;
}
