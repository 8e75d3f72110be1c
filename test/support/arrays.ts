export const f32 = (...values: number[]) => Float32Array.from(values);
export const f64 = (...values: number[]) => Float64Array.from(values);

/** The bytes of an array. Equal bytes are equal bits: −0 is not 0. */
export const bytes = (array: Float32Array | Float64Array) => [...new Uint8Array(array.slice().buffer)];
