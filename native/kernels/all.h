// THE TABLE of kernels, compiled once per instruction set. A new optimizer adds one #include and its table rows.
#include <float.h>
#include <math.h>

#include "../kernel.h"
#include "reduce.h"
#include "linalg.h"
#include "loop.h"
#include "prefetch.h"
#include "table_rows.h"
#include "matmul.h"
#include "measured_loop.h"
#include "matrix_loop.h"
#include "sparse_loop.h"
#include "entry.h"

#include "adafactor.h"
#include "adagrad.h"
#include "adam.h"
#include "adadelta.h"
#include "adamax.h"
#include "ademamix.h"
#include "asgd.h"
#include "ftrl.h"
#include "lamb.h"
#include "lars.h"
#include "lion.h"
#include "muon.h"
#include "nadam.h"
#include "radam.h"
#include "rmsprop.h"
#include "rprop.h"
#include "schedule_free.h"
#include "sgd.h"
#include "tf_adadelta.h"
#include "tf_adagrad.h"
#include "tf_adamax.h"
#include "tf_rmsprop.h"

namespace ISA {
static constexpr Kernel kKernels[] = {
    entryWithNorms<Adafactor>("adafactor"),
    entryWithNorms<AdafactorMomentum>("adafactor-momentum"),
    entryFactored<AdafactorFactored>("adafactor-factored"),
    entryFactored<AdafactorFactoredMomentum>("adafactor-factored-momentum"),
    entry<Adagrad>("adagrad"),
    entryPerRow<AdagradRowWise>("adagrad-row-wise"),
    entry<Adam>("adam"),
    entry<AdamAmsgrad>("adam-amsgrad"),
    entry<Adadelta>("adadelta"),
    entry<Adamax>("adamax"),
    entry<AdEMAMix>("ademamix"),
    entry<Asgd>("asgd"),
    entry<Ftrl>("ftrl"),
    entryWithNorms<Lamb>("lamb"),
    entryWithNorms<Lars>("lars"),
    entry<Lion>("lion"),
    entryOfMatrix<Muon>("muon"),
    entry<NAdam>("nadam"),
    entry<RAdam>("radam"),
    entry<RmsProp>("rmsprop"),
    entry<RmsPropMomentum>("rmsprop-momentum"),
    entry<RmsPropCentered>("rmsprop-centered"),
    entry<RmsPropCenteredMomentum>("rmsprop-centered-momentum"),
    entry<Rprop>("rprop"),
    entry<ScheduleFreeAdamW>("schedule-free-adamw"),
    entry<ScheduleFreeSgd>("schedule-free-sgd"),
    entry<Sgd>("sgd"),
    entry<SgdVelocity>("sgd-velocity"),
    entry<SgdVelocityNesterov>("sgd-velocity-nesterov"),
    entry<SgdBuffer>("sgd-buffer"),
    entry<SgdBufferNesterov>("sgd-buffer-nesterov"),
    entry<TfAdadelta>("tf-adadelta"),
    entry<TfAdagrad>("tf-adagrad"),
    entry<TfAdamax>("tf-adamax"),
    entry<TfRmsProp>("tf-rmsprop"),
    entry<TfRmsPropCentered>("tf-rmsprop-centered"),
};

#define STRING_(x) #x
#define STRING(x) STRING_(x)
extern const KernelSet kernelSet;
const KernelSet kernelSet = {STRING(ISA), kKernels, sizeof kKernels / sizeof *kKernels,
                             &sumSquares, &lerp,    &add,
                             &scale,      kFloat64, {&gatherRows, &scaleRows, &dotRows, &meanRow},
                             kMatmul};
}  // namespace ISA
