{
  # Built for this CPU only: the limit uses everything that the machine has.
  'targets': [{
    'target_name': 'limit',
    'sources': ['limit.cpp'],
    'defines': ['NAPI_VERSION=8'],
    'cflags_cc!': ['-O2', '-Os'],
    'cflags_cc': ['-O3', '-march=native', '-Wall', '-Wextra'],
    'xcode_settings': {'GCC_OPTIMIZATION_LEVEL': '3', 'OTHER_CPLUSPLUSFLAGS': ['-mcpu=native']},
    'msvs_settings': {'VCCLCompilerTool': {'Optimization': 2}},
  }],
}
