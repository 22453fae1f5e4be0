/** Export this to see request heads: `export * from "./gatelodge/request-head"`. */

import { release, take } from "./arena";
import { plugin, View } from "./plugin";

export function gatelodge_plugin_request_head_handle(list: usize, size: usize): usize {
  const verdict = plugin().requestHead(new View(list, size));
  const answer = take(36, 4);
  verdict.put(answer);
  return answer;
}

export function gatelodge_plugin_request_head_handle_post(answer: usize): void { release(); }
