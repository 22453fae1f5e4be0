/** Export this to see response heads: `export * from "./gatelodge/response-head"`. */

import { release, take } from "./arena";
import { plugin, View } from "./plugin";

export function gatelodge_plugin_response_head_handle(list: usize, size: usize): usize {
  const verdict = plugin().responseHead(new View(list, size));
  const answer = take(36, 4);
  verdict.put(answer);
  return answer;
}

export function gatelodge_plugin_response_head_handle_post(answer: usize): void { release(); }
