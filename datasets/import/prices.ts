/** Prices of imported models: from a file, else from the shipped catalog where an id is unmistakable. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Catalog, upstreamModelOf } from '../catalog/candidate.ts';
import { readCatalog } from '../catalog/catalog.ts';
import { RoutingError } from '../errors.ts';
import { PLAIN } from '../plain-issues.ts';
import { type ModelInfo, ModelInfos } from '../schema.ts';
import { readDocument } from './bytes.ts';

/**
 * @param uncosted models with an answer whose cost is not recorded: these need a price
 * @param beside files of outcomes; a `models.json` in their folders counts
 * @param prices a file that counts before those
 * @throws `MISSING_FILE`, `MALFORMED_JSON`, `INVALID_ROW`
 */
export async function pricesOf(
  modelIds: readonly string[],
  uncosted: ReadonlySet<string>,
  beside: readonly string[],
  prices: string | undefined,
  notes: string[],
): Promise<ModelInfos> {
  const known: Record<string, ModelInfo> = {};
  const files = [...new Set(beside.map((file) => join(dirname(file), 'models.json')))].filter((f) => existsSync(f));
  for (const file of prices === undefined ? files : [...files, prices]) Object.assign(known, await readPrices(file));
  const models: Record<string, ModelInfo> = {};
  const fromCatalog: string[] = [];
  const unpriced: string[] = [];
  const catalog = await readCatalog();
  for (const id of modelIds) {
    const info = Object.hasOwn(known, id) ? known[id] : undefined;
    if (isPriced(info)) {
      models[id] = info!;
      continue;
    }
    const found = inCatalog(catalog, id);
    if (found !== undefined && uncosted.has(id)) fromCatalog.push(id);
    else if (uncosted.has(id)) unpriced.push(id);
    if (found !== undefined || info !== undefined) models[id] = { ...found, ...info };
  }
  if (fromCatalog.length > 0) {
    notes.push(`prices of ${few(fromCatalog)} are from the shipped catalog of ${catalog.priceDate}`);
  }
  if (unpriced.length > 0) {
    notes.push(
      `no price is known of ${few(unpriced)}; give them in models.json beside the file, or in a file of prices`,
    );
  }
  return models;
}

const few = (names: readonly string[]): string =>
  names.length > 9 ? `${names.slice(0, 8).join(', ')} and ${names.length - 8} more` : names.join(', ');

const isPriced = (info: ModelInfo | undefined): boolean =>
  info?.inputUsdPerMTok !== undefined && info.outputUsdPerMTok !== undefined;

/** By its full id, else by its name alone where all who sell it ask the same price. */
function inCatalog(catalog: Catalog, id: string): ModelInfo | undefined {
  const exact = catalog.models.filter((m) => m.id === id);
  const named = exact.length > 0 ? exact : catalog.models.filter((m) => upstreamModelOf(m.id) === id);
  const prices = new Set(named.map((m) => `${m.inputUsdPerMTok}/${m.outputUsdPerMTok}`));
  if (prices.size !== 1) return undefined;
  const { inputUsdPerMTok, outputUsdPerMTok, id: from } = named[0]!;
  return { inputUsdPerMTok, outputUsdPerMTok, priceFrom: `catalog ${catalog.priceDate}: ${from}` };
}

/** A file in the format of `models.json`, or a catalog. @throws `MISSING_FILE`, `MALFORMED_JSON`, `INVALID_ROW` */
export async function readPrices(file: string): Promise<ModelInfos> {
  const value = await readDocument(file);
  const catalog = Catalog.safeParse(value, PLAIN);
  if (catalog.success) {
    return Object.fromEntries(
      catalog.data.models.map(({ id, inputUsdPerMTok, outputUsdPerMTok }) => [
        id,
        { inputUsdPerMTok, outputUsdPerMTok },
      ]),
    );
  }
  const parsed = ModelInfos.safeParse(value, PLAIN);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new RoutingError(
    'INVALID_ROW',
    `${file}: field ${issue.path.join('.') || '(file)'}: ${issue.message}; prices are {"MODEL": {"inputUsdPerMTok", "outputUsdPerMTok"}}`,
  );
}
