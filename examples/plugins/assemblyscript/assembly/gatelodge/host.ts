/** What the host does for a plugin: each namespace is one capability of the contract. */

import { getBytes, getText, putBytes, putText, take } from "./arena";

// @ts-ignore: decorator
@external("gatelodge:plugin/log@0.1.0", "write")
declare function logWrite(level: i32, text: usize, size: usize): void;
// @ts-ignore: decorator
@external("gatelodge:plugin/log@0.1.0", "enabled")
declare function logEnabled(level: i32): bool;
// @ts-ignore: decorator
@external("gatelodge:plugin/config@0.1.0", "json")
declare function configJson(answer: usize): void;
// @ts-ignore: decorator
@external("gatelodge:plugin/clock@0.1.0", "unix-ms")
declare function clockUnixMs(): u64;
// @ts-ignore: decorator
@external("gatelodge:plugin/random@0.1.0", "next-u64")
declare function randomNextU64(): u64;
// @ts-ignore: decorator
@external("gatelodge:plugin/kv@0.1.0", "get")
declare function kvGet(store: usize, storeSize: usize, key: usize, keySize: usize, answer: usize): void;
// @ts-ignore: decorator
@external("gatelodge:plugin/kv@0.1.0", "set")
declare function kvSet(
  store: usize, storeSize: usize, key: usize, keySize: usize,
  value: usize, valueSize: usize, expires: i32, ttlMs: u64, answer: usize,
): void;
// @ts-ignore: decorator
@external("gatelodge:plugin/kv@0.1.0", "delete")
declare function kvDelete(store: usize, storeSize: usize, key: usize, keySize: usize, answer: usize): void;
// @ts-ignore: decorator
@external("gatelodge:plugin/kv@0.1.0", "increment")
declare function kvIncrement(
  store: usize, storeSize: usize, key: usize, keySize: usize,
  by: i64, expires: i32, ttlMs: u64, answer: usize,
): void;

/** The host's log. Grant: `log = true`. */
export namespace log {
  /** Finest detail. */
  export function trace(message: string): void { write(0, message); }
  /** For the plugin's author. */
  export function debug(message: string): void { write(1, message); }
  /** For the operator. */
  export function info(message: string): void { write(2, message); }
  /** Something odd. */
  export function warn(message: string): void { write(3, message); }
  /** Something wrong. */
  export function error(message: string): void { write(4, message); }
  /** False where nobody would see lines of this level: 0 trace to 4 error. */
  export function enabled(level: i32): bool { return logEnabled(level); }

  function write(level: i32, message: string): void {
    const text = take(8, 4);
    putText(text, message);
    logWrite(level, load<usize>(text), load<usize>(text, 4));
  }
}

/** The time; it stands still while a hook runs. */
export namespace clock {
  /** Milliseconds since 1970. */
  export function unixMs(): u64 { return clockUnixMs(); }
}

/** Chance, from the host. */
export namespace random {
  /** 64 random bits. */
  export function next(): u64 { return randomNextU64(); }
}

/** Settings as the operator wrote them, as one JSON object. */
export function settingsText(): string {
  const answer = take(8, 4);
  configJson(answer);
  return getText(answer);
}

/** What a call to the host came to. */
export class Outcome<T> {
  /** `value` counts only where `failure` is null. */
  constructor(public failure: string | null, public value: T) {}
}

/** A value of a store, with the version that its last write gave it. */
export class Entry {
  constructor(public version: u64, public value: Uint8Array) {}
}

/** Stores shared by all workers and plugins. Grant: `state = ["NAME"]`. */
export namespace kv {
  /** Value null: no such key. */
  export function get(store: string, key: string): Outcome<Entry | null> {
    const names = both(store, key);
    const answer = take(32, 8);
    kvGet(load<usize>(names), load<usize>(names, 4), load<usize>(names, 8), load<usize>(names, 12), answer);
    const failure = failed(answer, 8);
    // result<option<entry>>: the option at 8, the entry at 16.
    if (failure != null || load<u8>(answer, 8) == 0) return new Outcome<Entry | null>(failure, null);
    return new Outcome<Entry | null>(null, new Entry(load<u64>(answer, 16), getBytes(answer + 24)));
  }

  /** Writes; gives the entry's version. `ttlMs` 0: stays. */
  export function set(store: string, key: string, value: Uint8Array, ttlMs: u64 = 0): Outcome<u64> {
    const names = both(store, key);
    const bytes = take(8, 4);
    putBytes(bytes, value);
    const answer = take(24, 8);
    kvSet(
      load<usize>(names), load<usize>(names, 4), load<usize>(names, 8), load<usize>(names, 12),
      load<usize>(bytes), load<usize>(bytes, 4), i32(ttlMs != 0), ttlMs, answer,
    );
    return new Outcome<u64>(failed(answer, 8), load<u64>(answer, 8));
  }

  /** Takes a key out. */
  export function remove(store: string, key: string): string | null {
    const names = both(store, key);
    const answer = take(16, 4);
    kvDelete(load<usize>(names), load<usize>(names, 4), load<usize>(names, 8), load<usize>(names, 12), answer);
    return failed(answer, 4);
  }

  /** Adds to a number in one step; gives the sum. `ttlMs` 0: stays. */
  export function increment(store: string, key: string, by: i64, ttlMs: u64 = 0): Outcome<i64> {
    const names = both(store, key);
    const answer = take(24, 8);
    kvIncrement(
      load<usize>(names), load<usize>(names, 4), load<usize>(names, 8), load<usize>(names, 12),
      by, i32(ttlMs != 0), ttlMs, answer,
    );
    return new Outcome<i64>(failed(answer, 8), load<i64>(answer, 8));
  }

  function both(store: string, key: string): usize {
    const names = take(16, 4);
    putText(names, store);
    putText(names + 8, key);
    return names;
  }
}

/** The failure in a result whose payload is at `offset`, as text; null if it went well. */
function failed(answer: usize, offset: usize): string | null {
  if (load<u8>(answer) == 0) return null;
  const failure = answer + offset;
  switch (load<u8>(failure)) {
    case 0: return "denied";
    case 1: return "not found";
    case 2: return "timed out";
    case 3: return "too large";
    case 4: return "unavailable";
    case 5: return "conflict";
    default: return getText(failure + 4);
  }
}

/** Where AssemblyScript goes when it gives up: its words reach the log, then the instance ends. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const text = message != null ? message : "abort";
  const place = file != null ? file : "?";
  log.error(text + " (" + place + ":" + line.toString() + ":" + column.toString() + ")");
  unreachable();
}
