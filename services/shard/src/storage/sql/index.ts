/**
 * The statements, one module for each table: their text, the rows they take, the rows they give. `multi-row.ts` writes
 * statements over many rows. Nothing here talks to a database.
 */
export {};
