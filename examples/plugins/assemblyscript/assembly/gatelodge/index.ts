/** What plugins import. */

export { clock, Entry, kv, log, Outcome, random } from "./host";
export { Field, Inspector, Plugin, register, Registration, View } from "./plugin";
export { Settings } from "./settings";
export { Body, ChunkVerdict, Edits, EndVerdict, Header, pass, Response, Verdict } from "./verdict";
