import {
  Body, ChunkVerdict, Edits, Field, Inspector, kv, log, pass, Plugin, register, Registration, Response, Settings,
  Verdict, View,
} from "./gatelodge";

// The hooks that this plugin has, one module each; what is not named here costs no request anything.
export * from "./gatelodge/lifecycle";
export * from "./gatelodge/request-head";
export * from "./gatelodge/response-head";
export * from "./gatelodge/response-body";

const PATH = 0; // in both views
const GREETING = 0; // in the outputs
const HITS = 1;

class Example extends Plugin {
  private greeting: string = "";

  configure(settings: Settings): Registration {
    const greeting = settings.string("greeting");
    if (greeting == null) return Registration.refuse('set greeting = "..." for this plugin');
    this.greeting = greeting;
    log.info("assemblyscript is ready");

    const registration = new Registration();
    registration.request = [Field.path()];
    registration.response = [Field.path()];
    registration.outputs = ["x-greeting", "x-hits"];
    return registration;
  }

  requestHead(view: View): Verdict {
    const path = view.text(PATH);
    if (path == null) return pass();
    if (path.startsWith("/edit")) return new Edits().setSlot(GREETING, this.greeting);
    if (path == "/answer") {
      return new Response(418).header("x-language", "assemblyscript").text("hello from assemblyscript");
    }
    if (path == "/log") {
      log.info("seen " + path);
      return pass();
    }
    if (path == "/kv") {
      const hits = kv.increment("battery", "hits", 1);
      const failure = hits.failure;
      return new Edits().setSlot(HITS, failure == null ? hits.value.toString() : failure);
    }
    if (path == "/trap") throw new Error("asked to trap");
    if (path == "/loop") while (true) {}
    return pass();
  }

  responseHead(view: View): Verdict {
    const path = view.text(PATH);
    if (path == null) return pass();
    if (path.startsWith("/edit")) return new Edits().set("x-language", "assemblyscript");
    if (path == "/body") return new Edits().inspect(Body.Stream);
    return pass();
  }

  responseBody(): Inspector { return new Shouting(); }
}

/** A body whose letters become capitals. */
class Shouting extends Inspector {
  chunk(data: Uint8Array): ChunkVerdict {
    for (let i = 0; i < data.length; i++) {
      const byte = data[i];
      if (byte >= 0x61 && byte <= 0x7a) data[i] = byte - 0x20;
    }
    return ChunkVerdict.replace(data);
  }
}

register(new Example());
