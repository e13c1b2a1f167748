/** Where in the text of a JSON document a value stands, which `JSON.parse` does not tell. */

/** Counted from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** The line and column of an offset. */
function at(text: string, offset: number): Position {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: offset - lineStart + 1 };
}

/** The place and the reason of what `JSON.parse` throws for a text. */
export function syntaxProblem(text: string): Position & { readonly reason: string } {
  // The shortest beginning that no more text can mend: all that are shorter can be mended, all that are longer cannot.
  let [low, high] = [0, text.length];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (mendable(text.slice(0, middle))) low = middle;
    else high = middle - 1;
  }
  const message = parseError(text) ?? '';
  const reason = message.replace(/ in JSON at position.*|, [^,]*\.\.\.".*| \(line \d+ column \d+\)/s, '');
  return { ...at(text, low), reason: `not JSON: ${reason.split('\n')[0]}` };
}

function parseError(text: string): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** True if a text could be the beginning of a document. */
function mendable(text: string): boolean {
  const message = parseError(text);
  if (message === null || /end of JSON|Unterminated/.test(message)) return true;
  const position = /at position (\d+)/.exec(message);
  return position !== null && Number(position[1]) >= text.length;
}

/**
 * The position of the value at `path` in a valid document; of the innermost value that exists, where the path leads
 * past it. An unknown key is found at its name.
 */
export function positionOf(text: string, path: readonly PropertyKey[]): Position {
  return at(text, new Scanner(text).find(path));
}

class Scanner {
  #at = 0;
  constructor(readonly text: string) {}

  find(path: readonly PropertyKey[]): number {
    this.#blank();
    let found = this.#at;
    for (const part of path) {
      if (!this.#enter(part)) break;
      found = this.#at;
    }
    return found;
  }

  /** Moves to the value of a key or an index of the value that starts here; false if there is none. */
  #enter(part: PropertyKey): boolean {
    const open = this.text[this.#at];
    if (open !== '{' && open !== '[') return false;
    this.#at++;
    for (let index = 0; ; index++) {
      this.#blank();
      const c = this.text[this.#at];
      if (c === undefined || c === '}' || c === ']') return false;
      if (open === '{') {
        const key = this.#string();
        this.#blank();
        this.#at++;
        this.#blank();
        if (key === part) return true;
      } else if (index === part) return true;
      this.#skip();
      this.#blank();
      if (this.text[this.#at] === ',') this.#at++;
    }
  }

  #blank(): void {
    while (/\s/.test(this.text[this.#at] ?? 'x')) this.#at++;
  }

  #string(): string {
    const start = this.#at++;
    while (this.#at < this.text.length && this.text[this.#at] !== '"') {
      this.#at += this.text[this.#at] === '\\' ? 2 : 1;
    }
    this.#at++;
    return JSON.parse(this.text.slice(start, this.#at)) as string;
  }

  /** Past the value that starts here. */
  #skip(): void {
    let depth = 0;
    do {
      const c = this.text[this.#at];
      if (c === undefined) return;
      if (c === '"') this.#string();
      else {
        if (c === '{' || c === '[') depth++;
        else if (c === '}' || c === ']') depth--;
        else if (depth === 0) {
          while (/[^\s,}\]]/.test(this.text[this.#at] ?? ',')) this.#at++;
          return;
        }
        this.#at++;
      }
    } while (depth > 0);
  }
}
