/** A table of results for the terminal and the page. */
export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** How to read the table; what is missing, and why. */
  readonly notes: readonly string[];
}
