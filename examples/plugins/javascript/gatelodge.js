// What a plugin stands on: short names for the contract gatelodge:plugin@0.1.0, and a floor
// below every hook: what it throws is in the host's log before the instance ends.

import * as config from "gatelodge:plugin/config@0.1.0";
import * as store from "gatelodge:plugin/kv@0.1.0";
import { write } from "gatelodge:plugin/log@0.1.0";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Text as the contract's bytes. */
export const bytes = (value) => (typeof value === "string" ? encoder.encode(value) : value);
/** The contract's bytes as text; nothing for a field that is not there. */
export const text = (value) => (value === undefined || value === null ? undefined : decoder.decode(value));

/** What hooks may ask to see. */
export const see = {
  method: { tag: "method" },
  path: { tag: "path" },
  query: { tag: "query" },
  clientIp: { tag: "client-ip" },
  status: { tag: "status" },
  header: (name) => ({ tag: "header", val: name }),
  cookie: (name) => ({ tag: "cookie", val: name }),
  responseHeader: (name) => ({ tag: "response-header", val: name }),
};

/** The host's log. Grant: log = true. */
export const log = {
  debug: (line) => write("debug", line),
  info: (line) => write("info", line),
  warn: (line) => write("warn", line),
  error: (line) => write("error", line),
};
globalThis.console = { ...globalThis.console, ...log, log: log.info };

/** Stores that all workers and plugins share. Grant: state = ["NAME"]. */
export const kv = {
  /** Adds to a number in one step and gives the sum. */
  increment: (name, key, by = 1) => store.increment(name, key, BigInt(by), undefined),
};

/** What the operator wrote below [plugin.config]. */
export const settings = () => JSON.parse(config.json());

/** To be thrown by `configure`: the plugin can't run with these settings. */
export class Refusal extends Error {}

// What happens after a head hook.
export const pass = { tag: "pass" };
export const edited = (...edits) => ({ tag: "edited", val: edits });
/** `interest` is "observe" or "stream". */
export const inspect = (interest, ...edits) => ({ tag: "inspect", val: [edits, { tag: interest }] });
export const respond = (status, headers, body) => ({
  tag: "respond",
  val: { status, headers: lines(headers), body: bytes(body), reason: undefined },
});

// One change to the message at hand.
export const setSlot = (slot, value) => ({ tag: "set-slot", val: [slot, bytes(value)] });
export const set = (name, value) => ({ tag: "set", val: { name, value: bytes(value) } });
export const append = (name, value) => ({ tag: "append", val: { name, value: bytes(value) } });
export const remove = (name) => ({ tag: "remove", val: name });

// What happens to a chunk of a body.
export const replace = (data) => ({ tag: "replace", val: data });
export const done = { tag: "done" };

const lines = (headers) => Object.entries(headers).map(([name, value]) => ({ name, value: bytes(value) }));

/** Tells what a hook throws, and lets it end the instance. */
const told =
  (hook) =>
  (...args) => {
    try {
      return hook(...args);
    } catch (error) {
      log.error(`${error}\n${error?.stack ?? ""}`);
      throw error;
    }
  };

/**
 * `configure` gives `{ request, response, outputs }`: what the hooks see, in this order, and the
 * headers that they set by slot.
 */
export const lifecycle = (configure) => ({
  configure() {
    try {
      const { request = [], response = [], outputs = [] } = configure();
      return {
        requestView: request,
        responseView: response,
        completionView: [],
        outputs,
        attributes: [],
        tickMs: 0,
        options: [],
      };
    } catch (error) {
      // Only a text is a refusal; anything else ends the instance.
      if (error instanceof Refusal) throw error.message;
      log.error(`${error}\n${error?.stack ?? ""}`);
      throw error;
    }
  },
});

/** A head hook: `handle(...fields)` gets what was registered, as bytes, and gives a verdict. */
export const head = (handle) => ({ handle: told((view) => handle(...view)) });

/** A body hook: `Body` has `chunk(data)`, and `end(trailers)` if it likes. */
export const body = (Body) => {
  class Inspector {
    #body = new Body();
    chunk(data) {
      return told(() => this.#body.chunk(data))();
    }
    end(trailers) {
      return told(() => this.#body.end?.(trailers) ?? pass)();
    }
  }
  return { Inspector, open: told(() => new Inspector()) };
};
