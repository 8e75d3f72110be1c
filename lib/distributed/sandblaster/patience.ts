// How long ranks that evaluate portions together wait for each other.

/** A portion is dealt again after this many times the usual duration of a portion. */
export const lateness = 2;
/** The longest sleep in milliseconds without a look at the world, which may be broken. */
export const longestSleep = 100;
/** Milliseconds that a rank on which f threw has to end. */
export const lastWords = 2000;
/** Milliseconds between two looks for its end. */
export const lookEvery = 20;
/**
 * Evaluations whose sums are kept. A rank that is late by less than this takes these sums, instead of computing portions that
 * the others have. After as many evaluations all ranks meet.
 */
export const keptEvaluations = 8;
