/** What a plugin is: a class with the hooks that it has. */

import { getBytes, getText, putText, take } from "./arena";
import { Settings } from "./settings";
import { ChunkVerdict, EndVerdict, Header, pass, Verdict } from "./verdict";

/** Something of a request or response that a hook wants to see; what is not asked for is never copied in. */
export class Field {
  private constructor(private kind: u8, private name: string | null = null) {}

  static method(): Field { return new Field(0); }
  static scheme(): Field { return new Field(1); }
  static authority(): Field { return new Field(2); }
  static path(): Field { return new Field(3); }
  static query(): Field { return new Field(4); }
  /** Several lines arrive joined by ", ". */
  static header(name: string): Field { return new Field(5, name); }
  static cookie(name: string): Field { return new Field(6, name); }
  static queryParam(name: string): Field { return new Field(7, name); }
  static clientIp(): Field { return new Field(8); }
  static requestId(): Field { return new Field(10); }
  static subject(): Field { return new Field(13); }
  static claim(name: string): Field { return new Field(14, name); }
  static attribute(name: string): Field { return new Field(15, name); }
  static status(): Field { return new Field(17); }
  static responseHeader(name: string): Field { return new Field(18, name); }

  put(at: usize): void {
    store<u8>(at, this.kind);
    const name = this.name;
    if (name != null) putText(at + 4, name);
  }
}

/** What a plugin wants to see and to write; told once, by `configure`. */
export class Registration {
  /** Fields of `Plugin.requestHead`, in this order. */
  request: Field[] = [];
  /** Fields of `Plugin.responseHead`. */
  response: Field[] = [];
  /** Header names of `Edits.setSlot`. */
  outputs: string[] = [];
  /** Why the plugin can't run with these settings; for the operator. */
  refusal: string | null = null;

  /** Says no. */
  static refuse(why: string): Registration {
    const registration = new Registration();
    registration.refusal = why;
    return registration;
  }

  /** As `result<registration, string>`. */
  put(at: usize): void {
    const refusal = this.refusal;
    if (refusal != null) {
      store<u8>(at, 1);
      putText(at + 4, refusal);
      return;
    }
    memory.fill(at, 0, 56);
    putFields(at + 4, this.request);
    putFields(at + 12, this.response);
    const names = take(<usize>this.outputs.length * 8, 4);
    for (let i = 0; i < this.outputs.length; i++) putText(names + <usize>i * 8, this.outputs[i]);
    store<usize>(at, names, 28);
    store<usize>(at, <usize>this.outputs.length, 32);
  }
}

function putFields(at: usize, fields: Field[]): void {
  const block = take(<usize>fields.length * 12, 4);
  for (let i = 0; i < fields.length; i++) fields[i].put(block + <usize>i * 12);
  store<usize>(at, block);
  store<usize>(at, <usize>fields.length, 4);
}

/** The fields of one head, in the order of the registration. Valid until the hook returns. */
export class View {
  constructor(private list: usize, private size: usize) {}

  /** Null where the head has no such field. */
  text(field: i32): string | null {
    const at = this.at(field);
    return at == 0 ? null : getText(at);
  }

  /** The same as bytes: header values need not be UTF-8. */
  bytes(field: i32): Uint8Array | null {
    const at = this.at(field);
    return at == 0 ? null : getBytes(at);
  }

  private at(field: i32): usize {
    assert(<usize>field < this.size, "no such field in the registration");
    const option = this.list + <usize>field * 12;
    return load<u8>(option) == 0 ? 0 : option + 4;
  }
}

/** One body in progress; what it remembers, no other body reaches. */
export class Inspector {
  /** 1 byte to 64 KiB; borders mean nothing. */
  chunk(data: Uint8Array): ChunkVerdict { return ChunkVerdict.pass(); }
  /** The sender's own end. */
  end(trailers: Header[]): EndVerdict { return EndVerdict.pass(); }
}

/** The hooks. Which of them run says the entry file: it exports one module for each. */
export abstract class Plugin {
  /** Once per instance, before any hook. */
  abstract configure(settings: Settings): Registration;
  requestHead(view: View): Verdict { return pass(); }
  responseHead(view: View): Verdict { return pass(); }
  requestBody(): Inspector { return new Inspector(); }
  responseBody(): Inspector { return new Inspector(); }
}

let registered: Plugin | null = null;

/** Names the plugin; call it once, at the top of the entry file. */
export function register(plugin: Plugin): void { registered = plugin; }

/** The plugin that was named. */
export function plugin(): Plugin {
  return assert(registered, "the entry file must call register(new YourPlugin())");
}

/** Header lines from the host. */
export function headers(list: usize, size: usize): Header[] {
  const lines = new Array<Header>(<i32>size);
  for (let i: usize = 0; i < size; i++) {
    lines[<i32>i] = new Header(getText(list + i * 16), getText(list + i * 16 + 8));
  }
  return lines;
}
