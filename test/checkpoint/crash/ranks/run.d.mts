interface Params {
  readonly w: Float32Array;
  readonly b: Float32Array;
}

export declare const microBatches: number;
export declare const options: { readonly lr: number; readonly clipNorm: number };
export declare function newParams(length: number): Params;
export declare function gradsOf(params: Params, step: number, part: number): Params;
