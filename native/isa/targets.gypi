# Compiler flags of all targets. Each instruction set is a static library: the same kernels/all.h, compiled with the
# flags of that set only.
{
  'target_defaults': {
    'cflags_cc': ['-std=c++17', '-O3', '-ffp-contract=off', '-fno-math-errno', '-fno-exceptions', '-fno-rtti', '-fvisibility=hidden'],
    'xcode_settings': {
      'CLANG_CXX_LANGUAGE_STANDARD': 'c++17',
      'MACOSX_DEPLOYMENT_TARGET': '11.0',
      'OTHER_CPLUSPLUSFLAGS': ['-O3', '-ffp-contract=off', '-fno-math-errno', '-fno-exceptions', '-fno-rtti', '-fvisibility=hidden'],
    },
    'msvs_settings': {'VCCLCompilerTool': {'AdditionalOptions': ['/std:c++17', '/fp:precise']}},
  },
}
