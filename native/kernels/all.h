// THE TABLE of kernels, compiled once per instruction set. A new optimizer adds one #include and its table rows.
#include <float.h>
#include <math.h>
#include <string.h>

#include "../kernel.h"
#include "reduce.h"
#include "bfloat16.h"
#include "linalg.h"
#include "loop.h"
#include "root.h"
#include "prefetch.h"
#include "table_rows.h"
#include "matmul.h"
#include "eigen.h"
#include "bfloat16_state.h"
#include "measured_loop.h"
#include "matrix_loop.h"
#include "sparse_loop.h"
#include "entry.h"
#include "finite.h"
#include "cautious.h"

#include "adafactor.h"
#include "adagrad.h"
#include "adam.h"
#include "adadelta.h"
#include "adamax.h"
#include "ademamix.h"
#include "asgd.h"
#include "dadapt_adamw.h"
#include "dog.h"
#include "dowg.h"
#include "fromage.h"
#include "ftrl.h"
#include "lamb.h"
#include "lars.h"
#include "lion.h"
#include "mars.h"
#include "muon.h"
#include "nadam.h"
#include "novograd.h"
#include "prodigy.h"
#include "radam.h"
#include "rmsprop.h"
#include "rprop.h"
#include "shampoo.h"
#include "schedule_free.h"
#include "sgd.h"
#include "stable_adamw.h"
#include "tf_adadelta.h"
#include "tf_adagrad.h"
#include "tf_adamax.h"
#include "tf_rmsprop.h"
#include "adabelief.h"
#include "adan.h"
#include "adopt.h"
#include "adagrad_da.h"
#include "cocob.h"
#include "madgrad.h"
#include "optimistic_adam.h"
#include "optimistic_gradient_descent.h"
#include "proximal_adagrad.h"
#include "sign_sgd.h"
#include "simplified_ademamix.h"
#include "sm3.h"
#include "soap.h"
#include "yogi.h"
#include "sophia.h"
#include "polyak_sgd.h"
#include "momo.h"

namespace ISA {
static constexpr Kernel kKernels[] = {
    entryWithNorms<Adafactor>("adafactor"),
    entryWithNorms<AdafactorMomentum>("adafactor-momentum"),
    entryFactored<AdafactorFactored>("adafactor-factored"),
    entryFactored<AdafactorFactoredMomentum>("adafactor-factored-momentum"),
    entryWithRoots<Adagrad, 4, 2>("adagrad"),
    entryPerRow<AdagradRowWise>("adagrad-row-wise"),
    entryWithRoots<Adam, 0, 3>("adam"),
    entryWithNorms<Cautious<Adam>>("adam-cautious"),
    entry<AdamAmsgrad>("adam-amsgrad"),
    entryWithNorms<Cautious<AdamAmsgrad>>("adam-amsgrad-cautious"),
    entryPerRow<AdamRowWise>("adam-row-wise"),
    entryPerRow<AdamRowSteps>("adam-row-steps"),
    entryPerRow<AdamRowWiseSteps>("adam-row-wise-steps"),
    entry<Adadelta>("adadelta"),
    entry<Adamax>("adamax"),
    entryWithNorms<Cautious<Adamax>>("adamax-cautious"),
    entry<AdEMAMix>("ademamix"),
    entryWithNorms<Cautious<AdEMAMix>>("ademamix-cautious"),
    entryInFloat32<Asgd>("asgd"),
    entryInFloat32<Ftrl>("ftrl"),
    entryWithNorms<Lamb>("lamb"),
    entryWithNorms<Lars>("lars"),
    entry<Lion>("lion"),
    entryWithNorms<Cautious<Lion>>("lion-cautious"),
    entryOfMatrix<Muon>("muon"),
    entry<NAdam>("nadam"),
    entryWithNorms<Cautious<NAdam>>("nadam-cautious"),
    entryWithNumbers<NovoGrad>("novograd"),
    entryWithNumbers<Prodigy>("prodigy"),
    entryWithNumbers<DAdaptAdamW>("dadapt-adamw"),
    entryWithNumbers<Fromage>("fromage"),
    entryWithNorms<MarsAdamW>("mars-adamw"),
    entryWithNorms<MarsLion>("mars-lion"),
    entryWithNumbers<Dog>("dog"),
    entryWithNumbers<Dowg>("dowg"),
    entry<RAdam>("radam"),
    entryWithNorms<Cautious<RAdam>>("radam-cautious"),
    entryWithRoots<RmsProp, 5, 3>("rmsprop"),
    entry<RmsPropMomentum>("rmsprop-momentum"),
    entryInFloat32<RmsPropCentered>("rmsprop-centered"),
    entryInFloat32<RmsPropCenteredMomentum>("rmsprop-centered-momentum"),
    entry<Rprop>("rprop"),
    entryInFloat32<ScheduleFreeAdamW>("schedule-free-adamw"),
    entryInFloat32<ScheduleFreeSgd>("schedule-free-sgd"),
    entry<Sgd>("sgd"),
    entry<SgdVelocity>("sgd-velocity"),
    entryWithNorms<Cautious<SgdVelocity>>("sgd-velocity-cautious"),
    entry<SgdVelocityNesterov>("sgd-velocity-nesterov"),
    entryWithNorms<Cautious<SgdVelocityNesterov>>("sgd-velocity-nesterov-cautious"),
    entry<SgdBuffer>("sgd-buffer"),
    entryWithNorms<Cautious<SgdBuffer>>("sgd-buffer-cautious"),
    entry<SgdBufferNesterov>("sgd-buffer-nesterov"),
    entryWithNorms<Cautious<SgdBufferNesterov>>("sgd-buffer-nesterov-cautious"),
    entryWithNorms<StableAdamW>("stable-adamw"),
    entry<TfAdadelta>("tf-adadelta"),
    entryWithRoots<TfAdagrad, 4, 2>("tf-adagrad"),
    entry<TfAdamax>("tf-adamax"),
    entry<TfRmsProp>("tf-rmsprop"),
    entryInFloat32<TfRmsPropCentered>("tf-rmsprop-centered"),
    entry<AdaBelief>("adabelief"),
    entry<Adan>("adan"),
    entry<Adopt>("adopt"),
    entryInFloat32<AdagradDualAveraging>("adagrad-da"),
    entry<ProximalAdagrad>("proximal-adagrad"),
    entryInFloat32<Cocob>("cocob"),
    entryInFloat32<Madgrad>("madgrad"),
    entry<OptimisticGradientDescent>("optimistic-gradient-descent"),
    entry<OptimisticAdam>("optimistic-adam"),
    entry<SignSgd>("sign-sgd"),
    entry<SignSgdMomentum>("sign-sgd-momentum"),
    entry<Sm3>("sm3"),
    entry<Sm3Momentum>("sm3-momentum"),
    entryWithMaxima<Sm3Factored>("sm3-factored"),
    entryWithMaxima<Sm3FactoredMomentum>("sm3-factored-momentum"),
    entry<SimplifiedAdEMAMix>("simplified-ademamix"),
    entry<Yogi>("yogi"),
    entryInFloat32<Sophia>("sophia"),
    entryWithNumbers<PolyakSgd>("polyak-sgd"),
    entryWithNumbers<Momo>("momo"),
    entryWithNumbers<MomoAdam>("momo-adam"),
    entryWithFactors<Soap>("soap"),
    entryOfMatrix<SoapVector>("soap-vector"),
    entryWithFactors<Shampoo>("shampoo"),
    entryWithFactors<ShampooGrafted>("shampoo-grafted"),
    entryWithFactors<ShampooVector>("shampoo-vector"),
    entryWithFactors<ShampooVectorGrafted>("shampoo-vector-grafted"),
};

#define STRING_(x) #x
#define STRING(x) STRING_(x)
extern const KernelSet kernelSet;
const KernelSet kernelSet = {STRING(ISA),
                             kCanPrefetch,
                             kKernels,
                             sizeof kKernels / sizeof *kKernels,
                             &sumSquares,
                             &lerp,
                             &add,
                             &scale,
                             kFloat64,
                             {&gatherRows, &scaleRows, &dotRows, &meanRow, &sumRuns},
                             kMatmul,
                             kEigen,
                             {&compress, &widen}};
}  // namespace ISA
