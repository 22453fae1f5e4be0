/** Export this to see the bodies that `responseHead` asks for: `export * from "./gatelodge/response-body"`. */

import { getBytes, release, take } from "./arena";
import { headers, Inspector, plugin } from "./plugin";

// @ts-ignore: decorator
@external("[export]gatelodge:plugin/response-body@0.1.0", "[resource-new]inspector")
declare function handleOf(inspector: usize): i32;

/** The host holds a handle, and the collector must leave alone what is behind it. */
export function gatelodge_plugin_response_body_open(): i32 {
  const handle = handleOf(__pin(changetype<usize>(plugin().responseBody())));
  release();
  return handle;
}

export function gatelodge_plugin_response_body_inspector_chunk(inspector: usize, data: usize, size: usize): usize {
  const place = take(8, 4);
  store<usize>(place, data);
  store<usize>(place, size, 4);
  const verdict = changetype<Inspector>(inspector).chunk(getBytes(place));
  const answer = take(36, 4);
  verdict.put(answer);
  return answer;
}

export function gatelodge_plugin_response_body_inspector_chunk_post(answer: usize): void { release(); }

export function gatelodge_plugin_response_body_inspector_end(inspector: usize, list: usize, size: usize): usize {
  const verdict = changetype<Inspector>(inspector).end(headers(list, size));
  const answer = take(36, 4);
  verdict.put(answer);
  return answer;
}

export function gatelodge_plugin_response_body_inspector_end_post(answer: usize): void { release(); }

export function gatelodge_plugin_response_body_inspector_drop(inspector: usize): void { __unpin(inspector); }
