/**
 * Output in two forms at once, as iproute2's `json_print.c` and `json_writer.c`: each call names a JSON key and the text that stands for the
 * same thing, and only one of the two is kept.
 */

export type JsonValue = string | number | bigint | boolean | null | JsonArray | JsonObject;
export type JsonArray = JsonValue[];
export type JsonObject = Map<string, JsonValue>;

export class Printer {
  #text = '';
  #root: JsonArray | null = null;
  readonly #open: (JsonArray | JsonObject)[] = [];

  constructor(
    readonly isJson: boolean,
    private readonly pretty: boolean,
    /** `-oneline`: what separates the lines of one object (`_SL_`). */
    readonly lineBreak: string,
  ) {}

  /** The array that all of a command's objects stand in (`new_json_obj`). */
  begin(): void {
    if (!this.isJson) return;
    this.#root = [];
    this.#open.push(this.#root);
  }

  /** One thing in either form: `key: value`, or the text (`PRINT_ANY`). */
  any(key: string, text: string, value: JsonValue): void {
    if (this.isJson) this.#put(key, value);
    else this.#text += text;
  }
  /** Text only (`PRINT_FP`). */
  fp(text: string): void {
    if (!this.isJson) this.#text += text;
  }
  /** JSON only (`PRINT_JSON`). */
  json(key: string, value: JsonValue): void {
    if (this.isJson) this.#put(key, value);
  }
  /** Text whatever the form: what iproute2 prints past its JSON writer. */
  raw(text: string): void {
    this.#text += text;
  }
  /** An element of the open array. */
  element(text: string, value: JsonValue): void {
    if (!this.isJson) this.#text += text;
    else (this.#open.at(-1) as JsonArray).push(value);
  }

  openObject(key?: string): void {
    if (this.isJson) this.#enter(key, new Map());
  }
  closeObject(): void {
    if (this.isJson) this.#open.pop();
  }
  openArray(key?: string): void {
    if (this.isJson) this.#enter(key, []);
  }
  closeArray(): void {
    if (this.isJson) this.#open.pop();
  }

  /** What the command wrote to its standard output. */
  finish(): string {
    if (this.#root === null) return this.#text;
    return `${this.#text}${new JsonWriter(this.pretty).write(this.#root)}\n`;
  }

  #enter(key: string | undefined, container: JsonArray | JsonObject): void {
    if (key !== undefined) this.#put(key, container);
    else (this.#open.at(-1) as JsonArray).push(container);
    this.#open.push(container);
  }
  #put(key: string, value: JsonValue): void {
    (this.#open.at(-1) as JsonObject).set(key, value);
  }
}

/** iproute2's layout: compact, or with `-pretty` its own way to break lines, which no standard writer has. */
class JsonWriter {
  #out = '';
  #depth = 0;
  /** What the next thing must be preceded by; empty right after an opening bracket or a name. */
  #separator = '';
  constructor(private readonly pretty: boolean) {}

  write(value: JsonValue): string {
    this.#value(value);
    return this.#out;
  }

  #value(value: JsonValue): void {
    if (value instanceof Map) this.#object(value);
    else if (Array.isArray(value)) this.#array(value);
    else {
      this.#separate();
      this.#out += typeof value === 'bigint' ? String(value) : JSON.stringify(value);
    }
  }
  #object(object: JsonObject): void {
    this.#begin('{');
    for (const [key, value] of object) {
      this.#separate();
      this.#endOfLine();
      this.#separator = '';
      this.#out += `${JSON.stringify(key)}:${this.pretty ? ' ' : ''}`;
      this.#value(value);
    }
    this.#end('}');
  }
  #array(array: JsonArray): void {
    this.#begin('[');
    if (this.pretty) this.#out += ' ';
    for (const value of array) this.#value(value);
    if (this.pretty && this.#separator !== '') this.#out += ' ';
    this.#separator = '';
    this.#end(']');
  }
  #begin(bracket: string): void {
    this.#separate();
    this.#out += bracket;
    this.#depth++;
    this.#separator = '';
  }
  #end(bracket: string): void {
    this.#depth--;
    if (this.#separator !== '') this.#endOfLine();
    this.#out += bracket;
    this.#separator = ',';
  }
  #separate(): void {
    this.#out += this.#separator;
    this.#separator = ',';
  }
  #endOfLine(): void {
    if (this.pretty) this.#out += `\n${'    '.repeat(this.#depth)}`;
  }
}
