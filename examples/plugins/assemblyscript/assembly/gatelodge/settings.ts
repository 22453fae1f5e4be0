/** The settings of a plugin: the strings, numbers and truths of one JSON object. */

import { settingsText } from "./host";

/** What the operator wrote below `[plugin.config]`. */
export class Settings {
  private strings: Map<string, string> = new Map<string, string>();
  private numbers: Map<string, f64> = new Map<string, f64>();
  private truths: Map<string, bool> = new Map<string, bool>();

  /** Null where it is not set, or is no string. */
  string(key: string): string | null {
    return this.strings.has(key) ? this.strings.get(key) : null;
  }

  number(key: string, otherwise: f64): f64 {
    return this.numbers.has(key) ? this.numbers.get(key) : otherwise;
  }

  bool(key: string, otherwise: bool): bool {
    return this.truths.has(key) ? this.truths.get(key) : otherwise;
  }

  /** Reads what the host has for this plugin. Lists and objects inside are left out. */
  static read(): Settings {
    const settings = new Settings();
    const reader = new Reader(settingsText());
    reader.expect(0x7b);
    while (!reader.at(0x7d)) {
      const key = reader.string();
      reader.expect(0x3a);
      if (reader.at(0x22)) settings.strings.set(key, reader.string());
      else if (reader.at(0x7b) || reader.at(0x5b)) reader.skip();
      else {
        const word = reader.word();
        if (word == "true" || word == "false") settings.truths.set(key, word == "true");
        else if (word != "null") settings.numbers.set(key, F64.parseFloat(word));
      }
      if (!reader.at(0x7d)) reader.expect(0x2c);
    }
    return settings;
  }
}

/** The host checked that this is JSON, so that what is odd here is our own mistake. */
class Reader {
  private next: i32 = 0;

  constructor(private text: string) {}

  /** True where this character comes next, blanks left out. */
  at(code: i32): bool {
    while (this.next < this.text.length && this.text.charCodeAt(this.next) <= 0x20) this.next++;
    return this.next < this.text.length && this.text.charCodeAt(this.next) == code;
  }

  expect(code: i32): void {
    assert(this.at(code), "settings are not one JSON object");
    this.next++;
  }

  string(): string {
    this.expect(0x22);
    let value = "";
    let begin = this.next;
    while (this.text.charCodeAt(this.next) != 0x22) {
      if (this.text.charCodeAt(this.next) != 0x5c) {
        this.next++;
        continue;
      }
      value += this.text.substring(begin, this.next) + this.escaped();
      begin = this.next;
    }
    return value + this.text.substring(begin, this.next++);
  }

  /** A number, `true`, `false` or `null`. */
  word(): string {
    this.at(0);
    const begin = this.next;
    while (this.next < this.text.length && !isEnd(this.text.charCodeAt(this.next))) this.next++;
    return this.text.substring(begin, this.next);
  }

  /** A list or an object, to its end. */
  skip(): void {
    let depth = 0;
    do {
      if (this.at(0x22)) {
        this.string();
        continue;
      }
      if (this.at(0x7b) || this.at(0x5b)) depth++;
      if (this.at(0x7d) || this.at(0x5d)) depth--;
      this.next++;
    } while (depth > 0);
  }

  /** What follows a backslash. */
  private escaped(): string {
    const code = this.text.charCodeAt(this.next + 1);
    this.next += 2;
    switch (code) {
      case 0x62: return "\b";
      case 0x66: return "\f";
      case 0x6e: return "\n";
      case 0x72: return "\r";
      case 0x74: return "\t";
      case 0x75: {
        this.next += 4;
        return String.fromCharCode(<i32>I32.parseInt(this.text.substring(this.next - 4, this.next), 16));
      }
      default: return String.fromCharCode(code);
    }
  }
}

/** What a word ends with: a blank, `,`, `]` or `}`. */
function isEnd(code: i32): bool {
  return code <= 0x20 || code == 0x2c || code == 0x5d || code == 0x7d;
}
