/** A small made-up world: two kinds of prompts, told apart by their embedding, and three models at three prices. */
import { deriveSeed, normal, outcomeTable, seededRandom } from '../../../datasets/index.ts';
import { listCostUsd } from '../../../eval/costs.ts';
import { partOf } from '../../../eval/part.ts';
import { exchangeRate, type World } from '../../../eval/simulate/world.ts';

/** `plain` prompts are easy for all, `hard` ones for the dear model alone; `middle` is right now and then. */
export const RIGHT = {
  cheap: { plain: 0.9, hard: 0.1 },
  dear: { plain: 0.95, hard: 0.9 },
  middle: { plain: 0.6, hard: 0.3 },
} as const;

const TOKENS = 100;
const DIMENSION = 4;

export function smallWorld(prompts: number, seed: number): World {
  const random = seededRandom(deriveSeed(seed, 'small-world'));
  const kinds = Array.from({ length: prompts }, () => (random() < 0.5 ? 'plain' : 'hard') as 'plain' | 'hard');
  const models = {
    cheap: { inputUsdPerMTok: 0.1, outputUsdPerMTok: 0.1 },
    middle: { inputUsdPerMTok: 1, outputUsdPerMTok: 1 },
    dear: { inputUsdPerMTok: 10, outputUsdPerMTok: 10 },
  };
  const table = outcomeTable({
    name: 'small',
    prompts: kinds.map((kind, i) => ({
      id: `p${i}`,
      source: 'small',
      benchmark: kind,
      text: `a ${kind} prompt`,
      groupId: `p${i}`,
    })),
    outcomes: kinds.flatMap((kind, i) =>
      Object.entries(RIGHT).map(([modelId, right]) => ({
        promptId: `p${i}`,
        modelId,
        quality: random() < right[kind] ? 1 : 0,
        outputTokens: TOKENS,
      })),
    ),
    models,
  });
  const m = table.modelIds.length;
  const costUsd = Float64Array.from({ length: prompts * m }, (_, at) =>
    listCostUsd(table, at % m, table.prompts[Math.floor(at / m)]!.text.length, TOKENS),
  );
  const z = new Float32Array(prompts * DIMENSION);
  kinds.forEach((kind, i) => {
    z[i * DIMENSION] = kind === 'plain' ? 1 : -1;
    z[i * DIMENSION + 1] = 1;
    for (let a = 2; a < DIMENSION; a++) z[i * DIMENSION + a] = 0.1 * normal(random);
  });
  const part = partOf(table, {
    costUsd,
    constantLength: new Uint8Array(prompts),
    shares: { recorded: 0, tokens: 1, characters: 0, constant: 0 },
  });
  return { name: 'small', part, z, dimension: DIMENSION, prior: null, qualityPerUsd: exchangeRate(part), notes: [] };
}

/** Forecasts that are the chances the outcomes were drawn by, and costs as they are. */
export function trueBeliefs(world: World) {
  const { table, costUsd } = world.part;
  const m = table.modelIds.length;
  const quality = Float32Array.from({ length: costUsd.length }, (_, at) => {
    const kind = table.prompts[Math.floor(at / m)]!.benchmark as 'plain' | 'hard';
    return RIGHT[table.modelIds[at % m] as keyof typeof RIGHT][kind];
  });
  return { quality, costUsd };
}
