# Paths are relative to this file, and commands run beside binding.gyp. The addon that carries schuss/distributed over MPI. It is built only with `-Dwith_mpi=1`.
{
  'variables': {'with_mpi%': 0},
  'conditions': [
    ['with_mpi==1', {
      'targets': [
        {
          'target_name': 'schuss_mpi',
          'sources': ['addon.cpp', 'communicator.cpp', 'mail.cpp'],
          'include_dirs': ["<!(node -p \"require('node-addon-api').include_dir\")"],
          # MPI's own C++ classes, which the standard has removed, would need a library more.
          'defines': ['NAPI_VERSION=8', 'NAPI_DISABLE_CPP_EXCEPTIONS', 'OMPI_SKIP_MPICXX=1', 'MPICH_SKIP_MPICXX=1'],
          'cflags_cc!': ['-fno-exceptions'],
          'cflags_cc': ["<!@(node native/mpi/flags.js compile)"],
          'libraries': ["<!@(node native/mpi/flags.js link)"],
          'xcode_settings': {
            'GCC_ENABLE_CPP_EXCEPTIONS': 'YES',
            'OTHER_CPLUSPLUSFLAGS': ['-fexceptions', "<!@(node native/mpi/flags.js compile)"],
          },
        },
      ],
    }],
  ],
}
