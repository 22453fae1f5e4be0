/** Every plugin exports this: `export * from "./gatelodge/lifecycle"`. */

import { release, take } from "./arena";
import { plugin } from "./plugin";
import { Settings } from "./settings";

export { cabi_realloc } from "./arena";

export function gatelodge_plugin_lifecycle_configure(): usize {
  const registration = plugin().configure(Settings.read());
  const answer = take(56, 4);
  registration.put(answer);
  return answer;
}

export function gatelodge_plugin_lifecycle_configure_post(answer: usize): void { release(); }
