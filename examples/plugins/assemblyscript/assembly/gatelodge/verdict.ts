/** What hooks answer, written down as the contract lays it out in memory. */

import { putBytes, putText, take } from "./arena";

/** One header line. */
export class Header {
  constructor(public name: string, public value: string) {}
}

function putHeader(at: usize, header: Header): void {
  putText(at, header.name);
  putText(at + 8, header.value);
}

function putHeaders(at: usize, headers: Header[]): void {
  const size = <usize>headers.length;
  const block = take(size * 16, 4);
  for (let i = 0; i < headers.length; i++) putHeader(block + <usize>i * 16, headers[i]);
  store<usize>(at, block);
  store<usize>(at, size, 4);
}

/** What happens after a head hook. */
export abstract class Verdict {
  abstract put(at: usize): void;
}

class Pass extends Verdict {
  put(at: usize): void { store<u8>(at, 0); }
}

const nothing = new Pass();

/** Go on unchanged. */
export function pass(): Verdict { return nothing; }

/** How much of the body the plugin wants to see. */
export enum Body {
  /** Nothing: chunks go past untouched. */
  Skip,
  /** Each chunk, read only. */
  Observe,
  /** Each chunk, to change it. */
  Stream,
}

/** Bytes of one edit in memory. */
const EDIT: usize = 20;
/** Room for so many edits is taken at once. */
const EDITS: usize = 8;

/** Go on with changes: each call adds one. Make a new one in each hook: its memory ends with the hook. */
export class Edits extends Verdict {
  private block: usize = take(EDIT * EDITS, 4);
  private room: usize = EDITS;
  private count: usize = 0;
  private interest: Body = Body.Skip;

  /** A slot of `Registration.outputs`: cheaper than by name. */
  setSlot(slot: i32, value: string): Edits {
    const at = this.add(4);
    store<i32>(at, slot);
    putText(at + 4, value);
    return this;
  }

  /** In place of all lines of that name. */
  set(name: string, value: string): Edits {
    putHeader(this.add(0), new Header(name, value));
    return this;
  }

  /** One more line. */
  append(name: string, value: string): Edits {
    putHeader(this.add(1), new Header(name, value));
    return this;
  }

  /** All lines of that name go. */
  remove(name: string): Edits {
    putText(this.add(2), name);
    return this;
  }

  /** Of a request. */
  pathAndQuery(target: string): Edits {
    putText(this.add(5), target);
    return this;
  }

  /** Of a response. */
  status(code: u16): Edits {
    store<u16>(this.add(8), code);
    return this;
  }

  /** And look at the body. */
  inspect(interest: Body): Edits {
    this.interest = interest;
    return this;
  }

  put(at: usize): void {
    store<u8>(at, this.interest == Body.Skip ? 1 : 2);
    store<usize>(at, this.block, 4);
    store<usize>(at, this.count, 8);
    store<u8>(at, <u8>this.interest, 12);
  }

  private add(kind: u8): usize {
    if (this.count == this.room) {
      const wider = take(EDIT * this.room * 2, 4);
      memory.copy(wider, this.block, EDIT * this.room);
      this.block = wider;
      this.room *= 2;
    }
    const edit = this.block + EDIT * this.count++;
    store<u8>(edit, kind);
    return edit + 4;
  }
}

/** Stop here and answer. */
export class Response extends Verdict {
  private headers: Header[] = [];
  private body: string = "";
  private why: string | null = null;

  constructor(private status: u16) { super(); }

  header(name: string, value: string): Response {
    this.headers.push(new Header(name, value));
    return this;
  }

  text(body: string): Response {
    this.body = body;
    return this;
  }

  /** For the operator's log only. */
  reason(why: string): Response {
    this.why = why;
    return this;
  }

  put(at: usize): void {
    store<u8>(at, 3);
    this.putRecord(at + 4);
  }

  /** The record alone, as other answers hold it. */
  putRecord(at: usize): void {
    store<u16>(at, this.status);
    putHeaders(at + 4, this.headers);
    putText(at + 12, this.body);
    const why = this.why;
    store<u8>(at, u8(why != null), 20);
    if (why != null) putText(at + 24, why);
  }
}

/** What happens to a chunk of a body. */
export class ChunkVerdict {
  private constructor(
    private kind: u8,
    private data: Uint8Array | null = null,
    private answer: Response | null = null,
  ) {}

  /** Goes on as it is. */
  static pass(): ChunkVerdict { return new ChunkVerdict(0); }
  /** These bytes instead; none swallow the chunk. */
  static replace(data: Uint8Array): ChunkVerdict { return new ChunkVerdict(1, data); }
  /** Goes on as it is, and so does the rest, unseen. */
  static done(): ChunkVerdict { return new ChunkVerdict(3); }
  /** These bytes instead; the rest goes on unseen. */
  static replaceDone(data: Uint8Array): ChunkVerdict { return new ChunkVerdict(4, data); }
  /** Refuses the body: the answer while the head is held back, else the stream is cut. */
  static abort(answer: Response): ChunkVerdict { return new ChunkVerdict(6, null, answer); }

  put(at: usize): void {
    store<u8>(at, this.kind);
    const data = this.data;
    if (data != null) putBytes(at + 4, data);
    const answer = this.answer;
    if (answer != null) answer.putRecord(at + 4);
  }
}

/** What happens at the end of a body. */
export class EndVerdict {
  private constructor(private kind: u8, private data: Uint8Array | null, private answer: Response | null) {}

  /** Ends as it came. */
  static pass(): EndVerdict { return new EndVerdict(0, null, null); }
  /** These bytes come last; trailers as they came. */
  static finish(data: Uint8Array): EndVerdict { return new EndVerdict(1, data, null); }
  /** Refuses the body. */
  static abort(answer: Response): EndVerdict { return new EndVerdict(2, null, answer); }

  put(at: usize): void {
    store<u8>(at, this.kind);
    const data = this.data;
    if (data != null) {
      putBytes(at + 4, data);
      store<u8>(at, 0, 12);
    }
    const answer = this.answer;
    if (answer != null) answer.putRecord(at + 4);
  }
}
