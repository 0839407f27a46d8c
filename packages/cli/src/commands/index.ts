/** One module a group of commands; each exports `register…Commands(program, io)` and starts nothing by being imported. */
export {};
