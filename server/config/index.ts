export { type Environment, variable } from './environment.ts';
export * from './known-providers.ts';
export * from './listen.ts';
export * from './loop-schema.ts';
export * from './read.ts';
export * from './reload.ts';
export * from './schema.ts';
export * from './watch.ts';
