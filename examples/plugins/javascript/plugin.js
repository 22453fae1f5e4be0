// Shows one thing per path.

import {
  Refusal, body, edited, head, inspect, kv, lifecycle as life, log, pass, replace, respond, see, set, setSlot, settings,
  text,
} from "./gatelodge.js";

// Places in the outputs.
const GREETING = 0;
const HITS = 1;

let greeting;

export const lifecycle = life(() => {
  ({ greeting } = settings());
  if (typeof greeting !== "string") throw new Refusal('set greeting = "..." for this plugin');
  log.info("javascript is ready");
  return { request: [see.path], response: [see.path], outputs: ["x-greeting", "x-hits"] };
});

export const requestHead = head((field) => {
  const path = text(field);
  if (path.startsWith("/edit")) return edited(setSlot(GREETING, greeting));
  switch (path) {
    case "/answer":
      return respond(418, { "x-language": "javascript" }, "hello from javascript");
    case "/log":
      log.info(`seen ${path}`);
      return pass;
    case "/kv":
      return edited(setSlot(HITS, String(kv.increment("battery", "hits"))));
    case "/trap":
      throw new Error("asked to trap");
    case "/loop":
      for (;;);
    default:
      return pass;
  }
});

export const responseHead = head((field) => {
  const path = text(field);
  if (path.startsWith("/edit")) return edited(set("x-language", "javascript"));
  return path === "/body" ? inspect("stream") : pass;
});

/** A body whose letters become capitals. */
export const responseBody = body(
  class {
    chunk(data) {
      return replace(data.map((byte) => (byte >= 97 && byte <= 122 ? byte - 32 : byte)));
    }
  },
);
