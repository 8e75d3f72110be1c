export * from './rows.js';
export type { Table } from './table.js';
