{
  'includes': ['native/isa/targets.gypi', 'native/mpi/target.gypi'],
  'targets': [
    {
      'target_name': 'schuss',
      'sources': ["<!@(node -p \"['native/engine', 'native/binding'].flatMap((d) => require('fs').readdirSync(d).filter((f) => f.endsWith('.cpp')).map((f) => d + '/' + f)).join(' ')\")"],
      'include_dirs': ["<!(node -p \"require('node-addon-api').include_dir\")"],
      'defines': ['NAPI_VERSION=8', 'NAPI_DISABLE_CPP_EXCEPTIONS', 'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS'],
      # Only the kernels are compiled without exceptions: std::thread and the STL throw.
      'cflags_cc!': ['-fno-exceptions'],
      'xcode_settings': {'GCC_ENABLE_CPP_EXCEPTIONS': 'YES', 'OTHER_CPLUSPLUSFLAGS': ['-fexceptions']},
      'msvs_settings': {'VCCLCompilerTool': {'ExceptionHandling': 1}},
      'dependencies': ['kernels_scalar'],
      'conditions': [
        ['target_arch=="x64"', {'dependencies': ['kernels_sse2', 'kernels_avx2', 'kernels_avx512']}],
        ['target_arch=="arm64"', {'dependencies': ['kernels_neon']}],
      ],
    },
    {
      'target_name': 'kernels_scalar', 'type': 'static_library', 'sources': ['native/isa/scalar.cpp'],
      'conditions': [
        # There another set always runs, unless SCHUSS_ISA asks for this one: -O3 would double its size, a tenth of the package.
        ['target_arch=="x64" or target_arch=="arm64"', {
          'cflags_cc': ['-O2'], 'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['-O2']},
        }],
      ],
    },
  ],
  'conditions': [
    ['target_arch=="x64"', {
      'targets': [
        {'target_name': 'kernels_sse2', 'type': 'static_library', 'sources': ['native/isa/sse2.cpp']},
        {
          'target_name': 'kernels_avx2', 'type': 'static_library', 'sources': ['native/isa/avx2.cpp'],
          'cflags_cc': ['-mavx2', '-mfma'], 'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['-mavx2', '-mfma']},
          'msvs_settings': {'VCCLCompilerTool': {'EnableEnhancedInstructionSet': '5'}},
        },
        {
          'target_name': 'kernels_avx512', 'type': 'static_library', 'sources': ['native/isa/avx512.cpp'],
          # GCC 12 warns of uninitialized memory in its own _mm512_undefined_ps (GCC bug 105593).
          'cflags_cc': ['-mavx512f', '-Wno-uninitialized', '-Wno-maybe-uninitialized'],
          'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['-mavx512f']},
          'msvs_settings': {'VCCLCompilerTool': {'EnableEnhancedInstructionSet': '6'}},
        },
      ],
    }],
    ['target_arch=="arm64"', {
      'targets': [{'target_name': 'kernels_neon', 'type': 'static_library', 'sources': ['native/isa/neon.cpp']}],
    }],
  ],
}
