/** Generated requests for the benchmarks of usage: what they are of is drawn by a hash of their number, the same each time. */

export interface GeneratedRows {
  /** What their ids begin with, and their draw is seeded with. */
  readonly tag: string;
  /** When the first request came; the others follow at equal distances. */
  readonly from: Date;
  readonly ms: number;
  readonly count: number;
  readonly artifact: string;
  /** Share of requests that take a minute, as streams do: written long after they came. Default: 0. */
  readonly slow?: number;
}

/**
 * 20 teams, 60 keys, 10 models of 4 providers, each drawn independently, a call each, 5 % judged.
 * @returns statements
 */
export function generatedRows({ tag, from, ms, count, artifact, slow = 0 }: GeneratedRows): string[] {
  const draw = (salt: number, of: number) => `(abs(hashtextextended(i::text, hashtext('${tag}') + ${salt})) % ${of})`;
  const slowMs = slow === 0 ? '0' : `case when ${draw(15, 1000)} < ${1000 * slow} then 60000 else 0 end`;
  // All end in order, and a request began as long before as it took.
  const took = `(300 + ${draw(13, 9000)} + ${slowMs})`;
  const began = `'${from.toISOString()}'::timestamptz + i * interval '${ms / count} milliseconds'${
    slow === 0 ? '' : ` - ${took} * interval '1 millisecond'`
  }`;
  const model = `'m' || ${draw(5, 10)}`;
  const team = draw(1, 20);
  return [
    `insert into decisions (id, created_at, tenant, key, project, surface, requested_model, routed, model, executed_model,
       reason, propensity, explored, floor, distribution, ranked, filtered, facts, artifact, price_date, baseline_model,
       baseline_cost_usd)
     select '${tag}-' || i, ${began}, 'team-' || ${team}, 'key-' || ${team} || '-' || ${draw(2, 3)}, 'p' || ${team},
       (array['chat','responses'])[1 + ${draw(3, 2)}],
       'auto', ${draw(4, 10)} > 0, ${model}, case when ${draw(6, 100)} = 0 then null else ${model} end,
       (array['cheapest_adequate','explored','sticky','requested','fallback'])[1 + ${draw(7, 5)}], 1, false, 0, '[]',
       jsonb_build_array(jsonb_build_object('model', ${model}, 'quality', ${draw(8, 1000)} / 1000.0)),
       '[]', '{"chars": 400}', '${artifact}', '2026-10-01', 'm9', 0.004
     from generate_series(0, ${count - 1}) i`,
    `insert into attempts (id, decision_id, ordinal, provider, model, started_at, status, input_tokens, output_tokens, cost_usd,
       first_byte_ms, total_ms)
     select 'a${tag}-' || i, '${tag}-' || i, 0, 'provider-' || ${draw(5, 10)} % 4, ${model}, ${began},
       case when ${draw(6, 100)} = 0 then 'error' else 'ok' end,
       ${draw(9, 4000)}, ${draw(10, 900)}, ${draw(11, 1000)} / 300000.0, 100 + ${draw(12, 900)}, ${took}
     from generate_series(0, ${count - 1}) i`,
    `insert into outcomes (decision_id, model_id, quality, sources, first_labelled_at)
     select '${tag}-' || i, ${model}, ${draw(14, 2)}, 1, now()
     from generate_series(0, ${count - 1}, 20) i where ${draw(6, 100)} <> 0`,
  ];
}
