/**
 * What a decision weighed, in few bytes: `ranked` and `distribution` of 46 candidates take 11 kB as JSON and half as long to
 * write as all else of the record. Names are kept once in a list (candidate-lists.ts), numbers as they are in memory: every bit
 * of a double comes back.
 *
 * Layout, version 1, numbers little-endian; n candidates in the order of `ranked`:
 *
 *     u8  1, the version
 *     u8  flags: 1 = places have two bytes, 2 = probabilities follow
 *     u16 n
 *     n × u8 or u16, place in the list
 *     ⌈n/8⌉ bytes, bit i of byte ⌊i/8⌋: candidate i is adequate
 *     quality, qualitySd, outputTokens, costUsd and, by the flag, probability: each one byte and
 *       8: n × f64
 *       4: n × f32, where each is one
 *       1: u8 k, k × f64, n × u8 saying which of the k
 *
 * whichever is shortest. Nothing follows.
 */
import { RoutingError } from '../../datasets/errors.ts';
import type { RankedCandidate } from '../../router/decision.ts';

/** Names of candidates, each with the model that it is predicted like; a decision counts by places in it. */
export interface CandidateList {
  /** Of the content: the same names in the same order have the same. */
  readonly hash: string;
  readonly models: readonly string[];
  readonly likes: readonly string[];
}

/** Finds candidates in a list. */
export interface CandidatePlaces {
  /** @returns null where the list has them not all; else their places, in their order */
  placesOf(ranked: readonly RankedCandidate[]): { readonly list: CandidateList; readonly places: Uint16Array } | null;
}

export interface Odds {
  readonly model: string;
  readonly probability: number;
}

export interface PackedCandidates {
  readonly list: CandidateList;
  /** Valid until the next is packed. */
  readonly bytes: Buffer;
  /** False: the probabilities are of other models, or in another order, and are to be kept by themselves. */
  readonly hasDistribution: boolean;
}

export interface UnpackedCandidates {
  readonly ranked: RankedCandidate[];
  /** Null where it was not packed. */
  readonly distribution: Odds[] | null;
}

const VERSION = 1;
const WIDE_PLACES = 1;
const WITH_DISTRIBUTION = 2;
const HEADER = 4;
/** Two bytes. */
export const MOST_CANDIDATES = 65_535;
/** A table beyond is hardly ever the shortest. */
const MOST_IN_TABLE = 16;

/** Every number of a candidate, in their order: one that is added there does not compile here. */
const COLUMNS = ['quality', 'qualitySd', 'outputTokens', 'costUsd'] as const;
type Column = (typeof COLUMNS)[number];
const _allNumbers: Exclude<keyof RankedCandidate, Column | 'model' | 'like' | 'adequate'> extends never ? true : never =
  true;
void _allNumbers;

/** Grown as it is needed: packing is done before anybody else gets a turn. */
let scratch = new DataView(new ArrayBuffer(16_384));
let column = new Float64Array(512);
const table = new Float64Array(MOST_IN_TABLE);

/**
 * @param ranked n candidates; anything else than {@link RankedCandidate} is not taken
 * @returns null for what only JSON can hold: a single candidate or none, too many, fields that are missing or of another type
 */
export function packCandidates(
  ranked: readonly RankedCandidate[],
  distribution: readonly Odds[],
  known: CandidatePlaces,
): PackedCandidates | null {
  const n = ranked.length;
  if (n < 2 || n > MOST_CANDIDATES || !ranked.every(isWhole)) return null;
  const found = known.placesOf(ranked);
  if (found === null) return null;
  const { list, places } = found;
  const isWide = list.models.length > 256;
  const hasDistribution = isOf(ranked, distribution);
  reserve(n);
  scratch.setUint8(0, VERSION);
  scratch.setUint8(1, (isWide ? WIDE_PLACES : 0) | (hasDistribution ? WITH_DISTRIBUTION : 0));
  scratch.setUint16(2, n, true);
  let at = HEADER;
  for (let i = 0; i < n; i++) {
    if (isWide) scratch.setUint16(at, places[i]!, true);
    else scratch.setUint8(at, places[i]!);
    at += isWide ? 2 : 1;
  }
  for (let from = 0; from < n; from += 8) {
    let bits = 0;
    for (let i = from; i < Math.min(n, from + 8); i++) if (ranked[i]!.adequate) bits |= 1 << (i - from);
    scratch.setUint8(at++, bits);
  }
  for (const name of COLUMNS) {
    for (let i = 0; i < n; i++) column[i] = ranked[i]![name];
    at = writeColumn(n, at);
  }
  if (hasDistribution) {
    for (let i = 0; i < n; i++) column[i] = distribution[i]!.probability;
    at = writeColumn(n, at);
  }
  return { list, bytes: Buffer.from(scratch.buffer, 0, at), hasDistribution };
}

const isWhole = (one: RankedCandidate): boolean =>
  typeof one?.model === 'string' &&
  typeof one.like === 'string' &&
  typeof one.quality === 'number' &&
  typeof one.qualitySd === 'number' &&
  typeof one.outputTokens === 'number' &&
  typeof one.costUsd === 'number' &&
  typeof one.adequate === 'boolean';

function isOf(ranked: readonly RankedCandidate[], distribution: readonly Odds[]): boolean {
  if (distribution.length !== ranked.length) return false;
  for (let i = 0; i < ranked.length; i++) {
    const odds = distribution[i];
    if (odds?.model !== ranked[i]!.model || typeof odds.probability !== 'number') return false;
  }
  return true;
}

function reserve(n: number): void {
  const bytes = HEADER + 2 * n + (n >> 3) + 1 + 5 * (1 + 8 * n);
  if (scratch.byteLength < bytes) scratch = new DataView(new ArrayBuffer(2 * bytes));
  if (column.length < n) column = new Float64Array(2 * n);
}

/** Writes the first n of `column`. @returns where it ends */
function writeColumn(n: number, start: number): number {
  let at = start;
  let [isSingle, distinct, last] = [true, 0, 0];
  for (let i = 0; i < n; i++) {
    const value = column[i]!;
    if (isSingle && !Object.is(Math.fround(value), value)) isSingle = false;
    if (distinct > MOST_IN_TABLE || (distinct > 0 && Object.is(table[last], value))) continue;
    last = placeInTable(value, distinct);
    if (last < distinct) continue;
    if (distinct < MOST_IN_TABLE) table[distinct] = value;
    distinct++;
  }
  const width = isSingle ? 4 : 8;
  if (distinct <= MOST_IN_TABLE && 1 + 8 * distinct + n < width * n) {
    scratch.setUint8(at++, 1);
    scratch.setUint8(at++, distinct);
    for (let k = 0; k < distinct; k++, at += 8) scratch.setFloat64(at, table[k]!, true);
    last = 0;
    for (let i = 0; i < n; i++) {
      const value = column[i]!;
      if (!Object.is(table[last], value)) last = placeInTable(value, distinct);
      scratch.setUint8(at++, last);
    }
    return at;
  }
  scratch.setUint8(at++, width);
  for (let i = 0; i < n; i++, at += width) {
    if (isSingle) scratch.setFloat32(at, column[i]!, true);
    else scratch.setFloat64(at, column[i]!, true);
  }
  return at;
}

function placeInTable(value: number, count: number): number {
  let k = 0;
  while (k < count && !Object.is(table[k], value)) k++;
  return k;
}

/** @throws `RECORD_DAMAGED` for bytes that {@link packCandidates} did not write with this list, or not to their end */
export function unpackCandidates(bytes: Uint8Array, list: CandidateList): UnpackedCandidates {
  const read = new Reader(bytes);
  const { n, places, hasDistribution } = read.start(list);
  const adequate = read.bits(n);
  const [quality, qualitySd, outputTokens, costUsd] = COLUMNS.map(() => read.column(n)) as Float64Array[];
  const probability = hasDistribution ? read.column(n) : null;
  read.end();
  const ranked = new Array<RankedCandidate>(n);
  for (let i = 0; i < n; i++) {
    ranked[i] = {
      model: list.models[places[i]!]!,
      like: list.likes[places[i]!]!,
      quality: quality![i]!,
      qualitySd: qualitySd![i]!,
      outputTokens: outputTokens![i]!,
      costUsd: costUsd![i]!,
      adequate: ((adequate[i >> 3]! >> (i & 7)) & 1) === 1,
    };
  }
  return { ranked, distribution: probability && oddsOf(places, probability, list) };
}

/** The probabilities alone, a third of the work; null where they were not packed. @throws `RECORD_DAMAGED` */
export function unpackDistribution(bytes: Uint8Array, list: CandidateList): Odds[] | null {
  const read = new Reader(bytes);
  const { n, places, hasDistribution } = read.start(list);
  read.bits(n);
  for (const _ of COLUMNS) read.skipColumn(n);
  const probability = hasDistribution ? read.column(n) : null;
  read.end();
  return probability && oddsOf(places, probability, list);
}

function oddsOf(places: ArrayLike<number>, probability: Float64Array, { models }: CandidateList): Odds[] {
  const odds = new Array<Odds>(probability.length);
  for (let i = 0; i < odds.length; i++) odds[i] = { model: models[places[i]!]!, probability: probability[i]! };
  return odds;
}

const damaged = (what: string) => new RoutingError('RECORD_DAMAGED', `the candidates of a decision: ${what}`);

class Reader {
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Moves on by so many bytes. @returns where they begin */
  #take(bytes: number): number {
    const from = this.#at;
    this.#at += bytes;
    if (this.#at > this.#view.byteLength) {
      throw damaged(`${this.#view.byteLength} bytes are there, at least ${this.#at} were written`);
    }
    return from;
  }

  start(list: CandidateList): { n: number; places: Uint8Array | Uint16Array; hasDistribution: boolean } {
    const view = this.#view;
    const at = this.#take(HEADER);
    const version = view.getUint8(at);
    if (version !== VERSION) {
      throw damaged(`version ${version}, which this build does not know; a newer one may have written it`);
    }
    const flags = view.getUint8(at + 1);
    const n = view.getUint16(at + 2, true);
    const isWide = (flags & WIDE_PLACES) !== 0;
    const from = this.#take(isWide ? 2 * n : n);
    const places = isWide ? new Uint16Array(n) : new Uint8Array(n);
    for (let i = 0; i < n; i++) {
      const place = isWide ? view.getUint16(from + 2 * i, true) : view.getUint8(from + i);
      if (place >= list.models.length) throw damaged(`place ${place} in a list of ${list.models.length}`);
      places[i] = place;
    }
    return { n, places, hasDistribution: (flags & WITH_DISTRIBUTION) !== 0 };
  }

  bits(n: number): Uint8Array {
    const from = this.#take((n + 7) >> 3);
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + from, (n + 7) >> 3);
  }

  skipColumn(n: number): void {
    const kind = this.#view.getUint8(this.#take(1));
    if (kind === 8 || kind === 4) this.#take(kind * n);
    else if (kind === 1) this.#take(8 * this.#view.getUint8(this.#take(1)) + n);
    else throw damaged(`a column of kind ${kind}`);
  }

  column(n: number): Float64Array {
    const view = this.#view;
    const out = new Float64Array(n);
    const kind = view.getUint8(this.#take(1));
    if (kind === 8 || kind === 4) {
      let at = this.#take(kind * n);
      for (let i = 0; i < n; i++, at += kind)
        out[i] = kind === 8 ? view.getFloat64(at, true) : view.getFloat32(at, true);
      return out;
    }
    if (kind !== 1) throw damaged(`a column of kind ${kind}`);
    const count = view.getUint8(this.#take(1));
    const values = this.#take(8 * count);
    const from = this.#take(n);
    for (let i = 0; i < n; i++) {
      const which = view.getUint8(from + i);
      if (which >= count) throw damaged(`value ${which} of ${count}`);
      out[i] = view.getFloat64(values + 8 * which, true);
    }
    return out;
  }

  end(): void {
    const more = this.#view.byteLength - this.#at;
    if (more > 0) throw damaged(`${more} bytes more than were written`);
  }
}
