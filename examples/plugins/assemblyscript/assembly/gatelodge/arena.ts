/**
 * Memory for what crosses the border: the host writes arguments here, hooks leave their answers
 * here, and all of it is free again when the host has read the answer.
 *
 * Nothing in here belongs to the garbage collector, so that a hook allocates little and
 * nothing moves while the host looks at it.
 */

/** One chunk of a body, its replacement, and a head beside them. */
const SIZE: usize = 192 * 1024;
const base: usize = memory.data(192 * 1024, 8);

let used: usize = 0;
/** First of the blocks that did not fit; each begins with the address of the next. */
let spilled: usize = 0;

/** Bytes for as long as the hook runs and until its answer is read. */
export function take(size: usize, align: usize): usize {
  const begin = (base + used + align - 1) & ~(align - 1);
  if (begin + size <= base + SIZE) {
    used = begin + size - base;
    return begin;
  }
  const block = heap.alloc(16 + size);
  store<usize>(block, spilled);
  spilled = block;
  return block + 16;
}

/** The host has read the answer. */
export function release(): void {
  used = 0;
  while (spilled != 0) {
    const block = spilled;
    spilled = load<usize>(block);
    heap.free(block);
  }
}

/** Asked by the host before it writes; the name is the component model's. */
export function cabi_realloc(old: usize, oldSize: usize, align: usize, size: usize): usize {
  const block = take(size, align);
  if (old != 0) memory.copy(block, old, min(oldSize, size));
  return block;
}

/** Room for text as UTF-8. */
export function putText(at: usize, text: string): void {
  const size = <usize>String.UTF8.byteLength(text);
  const block = take(size, 1);
  String.UTF8.encodeUnsafe(changetype<usize>(text), text.length, block);
  store<usize>(at, block);
  store<usize>(at, size, 4);
}

/** Room for bytes. */
export function putBytes(at: usize, bytes: Uint8Array): void {
  const size = <usize>bytes.length;
  const block = take(size, 1);
  memory.copy(block, bytes.dataStart, size);
  store<usize>(at, block);
  store<usize>(at, size, 4);
}

/** Text at a place that holds its address and length. Bytes that are no UTF-8 become U+FFFD. */
export function getText(at: usize): string {
  return String.UTF8.decodeUnsafe(load<usize>(at), load<usize>(at, 4));
}

/** A copy of the bytes at a place that holds their address and length. */
export function getBytes(at: usize): Uint8Array {
  const size = load<usize>(at, 4);
  const bytes = new Uint8Array(<i32>size);
  memory.copy(bytes.dataStart, load<usize>(at), size);
  return bytes;
}
