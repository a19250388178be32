import { defineConfig } from 'drizzle-kit';

/** Only for writing migrations: `npx drizzle-kit generate --name what-changed`. They are applied when a store opens. */
export default defineConfig({
  dialect: 'postgresql',
  schema: './server/db/schema.ts',
  out: './server/db/migrations',
});
