/** The shape that the project promises: rooms import downwards only, files stay short, nothing is left half done. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

/** From the bottom to the top: a room imports only rooms before it. */
const COLUMN = [
  'uapi',
  'wire',
  'trace',
  'core',
  'dev',
  'neigh',
  'route',
  'ip',
  'udp',
  'socket',
  'ipcmd',
  'net',
  'scenario',
  'cli',
];
/** Captures stand beside the column: devices own the interface that they implement. */
const CAPTURE_MAY_IMPORT = ['uapi', 'wire', 'core', 'capture'];
const MAY_IMPORT_CAPTURE = ['cli', 'scenario', 'capture'];

const MAX_LINES = 450;

interface Source {
  /** Relative to the project. */
  readonly path: string;
  readonly room: string;
  readonly text: string;
}

function sources(folder: string): Source[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(ts|mjs|cc|h)$/.test(file))
    .map((file) => {
      const path = join(folder, file);
      const room = file.includes('/') ? file.slice(0, file.indexOf('/')) : '';
      return { path, room, text: readFileSync(join(root, path), 'utf8') };
    });
}

/** Every module that a file imports from within src, also for types only and when called for. */
function imports({ path, text }: Source): string[] {
  const found = text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'(\.[^']*)'/g);
  return [...found].map((match) => relative(join(root, 'src'), resolve(root, dirname(path), match[1] ?? '')));
}

function roomOf(module: string): string {
  return module.includes('/') ? module.slice(0, module.indexOf('/')) : '';
}

const src = sources('src');
const everything = [
  ...src,
  ...sources('native'),
  ...sources('scripts'),
  ...sources('test'),
  ...sources('bench'),
];

describe('rooms', () => {
  it('are those of the design', () => {
    const rooms = new Set(src.map((file) => file.room).filter((room) => room !== ''));
    expect([...rooms].filter((room) => !COLUMN.includes(room) && room !== 'capture')).toEqual([]);
  });

  it('import only what lies below them', () => {
    const wrong = src
      .filter((file) => COLUMN.includes(file.room))
      .flatMap((file) =>
        imports(file)
          .filter((module) => {
            const to = roomOf(module);
            if (to === file.room) return false;
            if (to === 'capture') return !MAY_IMPORT_CAPTURE.includes(file.room);
            return COLUMN.indexOf(to) < 0 || COLUMN.indexOf(to) > COLUMN.indexOf(file.room);
          })
          .map((module) => `${file.path} imports ${module}`),
      );
    expect(wrong).toEqual([]);
  });

  it('leave captures beside the column', () => {
    const wrong = src
      .filter((file) => file.room === 'capture')
      .flatMap((file) =>
        imports(file)
          .filter((module) => !CAPTURE_MAY_IMPORT.includes(roomOf(module)))
          .map((module) => `${file.path} imports ${module}`),
      );
    expect(wrong).toEqual([]);
  });

  it('have no import circles, not even within a room', () => {
    const graph = new Map(
      src.map((file) => [
        relative('src', file.path).replace(/\.ts$/, ''),
        imports({ ...file, text: file.text.replace(/^import type [^;]*;/gm, '') }).map((m) =>
          m.replace(/\.js$/, ''),
        ),
      ]),
    );
    const done = new Set<string>();
    const circles: string[] = [];
    const walk = (module: string, way: readonly string[]): void => {
      if (way.includes(module)) {
        circles.push([...way.slice(way.indexOf(module)), module].join(' > '));
        return;
      }
      if (done.has(module)) return;
      for (const next of graph.get(module) ?? []) walk(next, [...way, module]);
      done.add(module);
    };
    for (const module of graph.keys()) walk(module, []);
    expect(circles).toEqual([]);
  });
});

describe('files', () => {
  it(`have at most ${MAX_LINES} lines`, () => {
    const long = src.map((file) => `${file.path}: ${file.text.split('\n').length - 1}`);
    expect(long.filter((line) => Number(line.split(': ')[1]) > MAX_LINES)).toEqual([]);
  });

  it('leave nothing for later', () => {
    const marks = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'].join('|')})\\b`);
    expect(everything.filter((file) => marks.test(file.text)).map((file) => file.path)).toEqual([]);
  });

  it('do not switch the type checker off', () => {
    // `any` itself is the linter's to find.
    const off = new RegExp(
      `@ts-(${['ignore', 'nocheck'].join('|')})|biome-ignore lint/suspicious/noExplicit${'Any'}`,
    );
    expect(everything.filter((file) => off.test(file.text)).map((file) => file.path)).toEqual([]);
  });

  it('have no default exports and no enums', () => {
    const wrong = src.filter((file) =>
      /^export default|^(export )?(const |declare )?enum\b/m.test(file.text),
    );
    expect(wrong.map((file) => file.path)).toEqual([]);
  });

  it('re-export nothing but src/index.ts', () => {
    const barrels = src
      .filter((file) => /^export (\*|\{[^}]*\}) from/m.test(file.text))
      .map((file) => file.path);
    expect(barrels.filter((path) => path !== 'src/index.ts')).toEqual([]);
  });

  it('name nothing outside the project', () => {
    const outside = new RegExp(['\\.\\.\\/sha' + 'red', '\\/wo' + 'rk\\/'].join('|'));
    const wrong = everything.filter((file) => outside.test(file.text)).map((file) => file.path);
    expect(wrong).toEqual([]);
  });
});

describe('stack', () => {
  const stack = src.filter((file) => !['cli', 'scenario', 'capture', ''].includes(file.room));

  it('asks the Net for time and randomness', () => {
    const own = /\bsetTimeout\b|\bsetInterval\b|\bDate\.now\b|\bMath\.random\b|\bperformance\.now\b/;
    // net.ts waits for its callers (`drain`), which is their time, not the stack's.
    const allowed = ['src/core/clock.ts', 'src/core/random.ts', 'src/core/timers.ts', 'src/net/net.ts'];
    const wrong = stack
      .filter((file) => own.test(file.text.replace(/^\s*(\/\/|\/?\*).*$/gm, '')))
      .map((file) => file.path);
    expect(wrong.filter((path) => !allowed.includes(path))).toEqual([]);
  });

  it('asks the profile what a kernel does, never for its version', () => {
    const asks = /profile\.name\b/;
    const rooms = stack.filter((file) => file.room !== 'net');
    expect(rooms.filter((file) => asks.test(file.text)).map((file) => file.path)).toEqual([]);
  });
});
