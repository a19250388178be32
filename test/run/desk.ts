/**
 * What every test file of one run shares: a folder for all temporary files, and, each made when the first asks for it,
 * the compiled program and one PostgreSQL server. All is gone when the run is over, also one that is interrupted.
 * Asked through `shared.ts`.
 */
import { rmSync } from 'node:fs';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { openPostgres } from '../../server/db/postgres.ts';
import { tempDir } from '../temporary.ts';
import { compile } from './compile.ts';
import { type RunningPostgres, startServer, TEMPLATE } from './postgres.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Where the desk answers. */
    readonly desk: string;
  }
}

export default async function openDesk(project: TestProject): Promise<() => Promise<void>> {
  const folder = await tempDir();
  // A PostgreSQL server that root starts is another user, who must be able to reach its files.
  await chmod(folder, 0o755);
  const { TMPDIR } = process.env;
  // The processes that run the tests, and what these start, put their temporary files there.
  process.env.TMPDIR = folder;
  // An interrupted run does not come to the end of this function's own cleaning.
  const sweep = () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  process.once('exit', sweep);

  let program: Promise<string> | undefined;
  let postgres: Promise<RunningPostgres> | undefined;
  const made: Record<string, () => Promise<string>> = {
    '/program': () => {
      program ??= compileInto(join(folder, 'program'));
      return program;
    },
    '/postgres': async () => {
      postgres ??= startServer().then(async (server) => {
        await makeTemplate(server);
        return server;
      });
      return (await postgres).url('postgres');
    },
  };

  const desk = createServer((request, response) => {
    const make = made[request.url ?? ''];
    if (make === undefined) {
      response.writeHead(404).end();
      return;
    }
    make().then(
      (answer) => response.end(answer),
      (error: Error) => response.writeHead(500).end(error.stack),
    );
  });
  await new Promise<void>((resolve) => desk.listen(0, '127.0.0.1', resolve));
  project.provide('desk', `http://127.0.0.1:${(desk.address() as AddressInfo).port}`);
  // Sources that changed while vitest watches are compiled again.
  project.onTestsRerun(() => {
    program = undefined;
  });

  return async () => {
    desk.closeAllConnections();
    desk.close();
    await (await postgres?.catch(() => undefined))?.stop();
    await program?.catch(() => undefined);
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
    process.off('exit', sweep);
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  };
}

async function compileInto(folder: string): Promise<string> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  await compile(folder);
  return folder;
}

/** A database that new ones are copied from: quicker than every migration again. */
async function makeTemplate(server: RunningPostgres): Promise<void> {
  const client = new pg.Client({ connectionString: server.url('postgres') });
  await client.connect();
  await client.query(`create database ${TEMPLATE}`);
  await client.end();
  await (await openPostgres(server.url(TEMPLATE))).close();
}
