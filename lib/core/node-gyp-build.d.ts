declare module 'node-gyp-build' {
  /** Loads the addon of the package in `directory`: from its build folder, else the prebuild for this platform. */
  export default function nodeGypBuild(directory: string): unknown;
}
