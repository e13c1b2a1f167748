/** The `ip` language, command by command, against iproute2 on the host's kernel: exit status, messages, text and JSON. */
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { comparable, Host, NO_HOST, Ours } from './lab.js';

const FOLDER = new URL('commands/', import.meta.url);

describe.skipIf(NO_HOST !== null)(`the same commands on the host and here${NO_HOST ?? ''}`, () => {
  for (const file of readdirSync(FOLDER)) {
    describe(file.replace('.txt', ''), () => {
      let host: Host;
      let ours: Ours;
      beforeAll(() => {
        host = new Host();
        ours = new Ours();
      });
      afterAll(() => {
        host.close();
        ours.close();
      });
      const commands = readFileSync(new URL(file, FOLDER), 'utf8')
        .split('\n')
        .filter((line) => line !== '');
      commands.forEach((command, i) => {
        it(`${i + 1}: ip ${command}`, () => {
          const expected = comparable(command, host.ip(command));
          expect(comparable(command, ours.ip(command))).toEqual(expected);
        });
      });
    });
  }
});
