/**
 * Signs that a text means to give the model other instructions than its operator's. Heuristics: they know what such texts
 * often look like, not what a text means. Whoever words it anew gets through, and who writes about it may not.
 *
 *     score = w · Σ weight of each sign that is there,   w = 2 in a tool's result, else 1
 *
 * A text is one where its score reaches the rule's threshold. The weights were set by hand.
 */
import { wordsAsLatin } from '../../../privacy/look-alikes.ts';
import { nextTurn } from '../breath.ts';
import { encodedTextsIn } from '../encoded-text.ts';
import { endOfPiece, isInOneGo } from '../folded-pieces.ts';
import { type Guard, NOTHING, type Seen, untouched } from '../plug-in.ts';
import type { InjectionRule, Voice } from './rules.ts';

export type Sign =
  | 'override'
  | 'role'
  | 'unbound'
  | 'delimiter'
  | 'reveal'
  | 'exfiltration'
  | 'hidden_text'
  | 'encoded'
  | 'addressed';

export function injection({ threshold, voices }: InjectionRule): Guard {
  return {
    // A sum of signs, each of which is there or not.
    isSeparable: true,
    look(text, voice): Seen | Promise<Seen> {
      if (!voices.includes(voice)) return untouched(text);
      const judged = ({ score, signs }: Scored): Seen =>
        score < threshold
          ? { text, found: NOTHING }
          : { text, found: Object.fromEntries(signs.map((sign) => [sign, 1])) };
      return isInOneGo(text) ? judged(injectionScore(text, voice)) : scoreInPieces(text, voice).then(judged);
    },
  };
}

/** Nobody but a stranger addresses the model from there. */
const TOOL_FACTOR = 2;

interface Phrase {
  readonly sign: Sign;
  readonly weight: number;
  /** Line ends matter to it; to the others they are spaces. */
  readonly byLine?: true;
  /** Against lower case, NFKC, spaces collapsed. Repetitions are bounded, so that time grows with the text alone. */
  readonly pattern: RegExp;
}

const DROP = '(?:ignore|disregard|forget|override|bypass|discard|do not follow|don.t follow|stop following)';
const EARLIER = '(?:previous|prior|above|earlier|preceding|foregoing|original|initial|existing|former)';
const ORDERS = '(?:instructions?|prompts?|rules|guidelines|directions|directives|commands|constraints|programming)';
const SHOW =
  '(?:reveal|show|print|repeat|output|display|leak|recite|write out|tell me|give me|what (?:is|are|was|were))';

const PHRASES: readonly Phrase[] = [
  {
    sign: 'override',
    weight: 1,
    pattern: new RegExp(`\\b${DROP} (?:all|any|every)(?: \\w{1,15}){0,3}? (?:\\w{1,15} )?${ORDERS}\\b`),
  },
  {
    sign: 'override',
    weight: 1,
    pattern: new RegExp(`\\b${DROP} (?:your|the system)(?: \\w{1,15}){0,2}? ${ORDERS}\\b`),
  },
  {
    sign: 'override',
    weight: 0.6,
    pattern: new RegExp(`\\b${DROP} (?:\\w{1,15} ){0,2}?${EARLIER} (?:\\w{1,15} ){0,2}?${ORDERS}\\b`),
  },
  {
    sign: 'override',
    weight: 1,
    pattern:
      /\b(?:forget|ignore|disregard) everything (?:\w{1,15} ){0,4}(?:above|before|told|said|instructed)\b|\bnew (?:system )?instructions ?:/,
  },
  {
    sign: 'override',
    weight: 1,
    pattern:
      /\b(?:ignorieren? sie|ignoriere|vergiss|vergessen sie) (?:\p{L}{1,15} ){0,3}(?:vorherigen|bisherigen|obigen|vorangehenden|früheren) (?:anweisungen|instruktionen|regeln|befehle)/u,
  },
  {
    sign: 'override',
    weight: 1,
    pattern:
      /\b(?:ignore[zr]?|oublie[zr]?) (?:\p{L}{1,10} ){0,3}(?:instructions|consignes|règles) (?:précédentes|antérieures|ci-dessus)/u,
  },
  {
    sign: 'override',
    weight: 1,
    pattern:
      /\b(?:ignora|ignore|olvida|olvide|esqueça) (?:\p{L}{1,10} ){0,3}(?:instrucciones|instruções|órdenes|reglas) (?:anteriores|previas)/u,
  },
  {
    sign: 'override',
    weight: 1,
    pattern: /(?:игнорируй|забудь)(?:те)? (?:\p{L}{1,12} ){0,2}(?:предыдущие|прежние) (?:инструкции|указания|правила)/u,
  },
  {
    sign: 'override',
    weight: 1,
    pattern:
      /(?:忽略|忘记|无视)(?:掉)?(?:你)?(?:所有|全部)?(?:之前|以上|先前|上面|前面)的?(?:所有|全部|任何)?(?:指令|指示|说明|提示|规则)/,
  },
  {
    sign: 'override',
    weight: 1,
    pattern: /(?:以前|上記|これまで|前)の(?:すべての|全ての)?(?:指示|命令|ルール)を(?:すべて)?無視/,
  },
  {
    sign: 'role',
    weight: 0.6,
    pattern:
      /\byou are (?:now|no longer) (?:an? |the |in |bound |restricted |limited |free )|\bdo anything now\b|\bpretend (?:that )?you (?:have no|are not bound|are an? (?:unrestricted|uncensored))/,
  },
  {
    sign: 'role',
    weight: 0.7,
    pattern:
      /\b(?:developer|debug|god|dan|jailbreak|sudo|maintenance) mode (?:is )?(?:now )?(?:enabled|activated|engaged|on)\b|\b(?:enter|enable|activate|switch to) (?:developer|debug|god|dan|jailbreak|sudo) mode\b/,
  },
  {
    sign: 'unbound',
    weight: 0.7,
    pattern:
      /\b(?:without|no|free of|free from) (?:any )?(?:ethical |moral |safety |content )(?:guidelines|restrictions|limits|limitations|filters?|constraints|rules)\b|\b(?:unfiltered|unrestricted|uncensored|jailbroken) (?:ai|llm|language model|assistant|chatbot|mode)\b/,
  },
  {
    sign: 'delimiter',
    weight: 0.8,
    pattern:
      /<\|(?:im_start|im_end|system|assistant|user|endoftext|start_header_id|eot_id)\|>|\[\/?inst\]|<<\/?sys>>|<\/?system(?:_prompt|-prompt)?>|\bend of (?:system )?prompt\b ?[-=*#\]]/,
  },
  {
    sign: 'delimiter',
    weight: 0.6,
    byLine: true,
    pattern: /(?:^|\n) ?(?:#{1,4} ?|\[|\*\*)?system(?: message| prompt| override| instruction)?(?:\]|\*\*)? ?:/,
  },
  {
    sign: 'reveal',
    weight: 1,
    pattern: new RegExp(
      `\\b${SHOW} (?:\\w{1,15} ){0,4}(?:system prompt|system message|hidden (?:prompt|instructions)|(?:initial|original) (?:prompt|instructions))\\b`,
    ),
  },
  {
    sign: 'reveal',
    weight: 1,
    pattern:
      /\b(?:reveal|repeat|print|output|recite|leak) (?:\w{1,15} ){0,3}(?:your (?:\w{1,15} )?(?:instructions|prompt|rules)|(?:everything|words|text|all text) above)\b/,
  },
  {
    sign: 'exfiltration',
    weight: 1,
    pattern:
      /\b(?:send|post|forward|upload|transmit|exfiltrate|e-?mail|submit|leak) (?:\w{1,15} ){0,5}(?:conversation|chat history|api keys?|credentials|passwords?|secrets?|access tokens?|private keys?|system prompt|environment variables)(?: \S{1,20}){0,6}? (?:to|at|via) (?:\S{1,20} ){0,2}?(?:https?:|www\.|\S{1,60}@)/,
  },
  {
    sign: 'exfiltration',
    weight: 0.7,
    pattern: /!\[[^\]\n]{0,100}\]\(https?:[^)\s]{1,300}[?&][^)\s=]{1,40}=(?:\{|<|\[|%7b|\$)/,
  },
  {
    sign: 'addressed',
    weight: 0.5,
    pattern:
      /\b(?:attention|important|note|notice|message|instructions?) (?:to|for) (?:\w{1,15} ){0,3}(?:ai|llms?|assistants?|language models?|chatbots?|agents?)\b|\bif you are an? (?:ai|llm|large language model|assistant|language model|agent)\b/,
  },
  {
    sign: 'addressed',
    weight: 0.6,
    pattern:
      /\b(?:do not|don.t|never) (?:tell|inform|mention|reveal|disclose|show|alert)(?: \w{1,15}){0,3}? (?:the )?user\b|\bwithout (?:telling|informing|alerting|asking) the user\b/,
  },
  {
    sign: 'encoded',
    weight: 0.7,
    pattern:
      /\b(?:decode|decrypt|unscramble|translate)\b[^.\n]{0,80}\b(?:base64|rot13|hex|cipher|morse|encoded)\b[^.\n]{0,80}\b(?:follow|execute|obey|run|perform|do what|comply)\b/,
  },
];

interface Scored {
  readonly score: number;
  readonly signs: readonly Sign[];
}

/** Of one text. Each sign counts once, by the heaviest phrase of it. */
export function injectionScore(text: string, voice: Voice): Scored {
  const weights = new Map<Sign, number>();
  weigh(text, weights);
  return scored(weights, voice);
}

/** No sign is longer than this. */
const LONGEST_SIGN = 4000;

async function scoreInPieces(text: string, voice: Voice): Promise<Scored> {
  const weights = new Map<Sign, number>();
  for (let at = 0; at < text.length; ) {
    const end = endOfPiece(text, at);
    weigh(text.slice(at, endOfPiece(text, end, LONGEST_SIGN)), weights);
    at = end;
    await nextTurn();
  }
  return scored(weights, voice);
}

function weigh(text: string, weights: Map<Sign, number>): void {
  const add = (sign: Sign, weight: number) => {
    if (weight > (weights.get(sign) ?? 0)) weights.set(sign, weight);
  };
  const hidden = hiddenWeight(text);
  if (hidden > 0) add('hidden_text', hidden);
  const plain = plainOf(text);
  for (const { sign, weight } of phrasesIn(plain)) add(sign, weight);
  if (holdsEncoded(text)) add('encoded', 1);
}

function scored(weights: ReadonlyMap<Sign, number>, voice: Voice): Scored {
  let sum = 0;
  for (const weight of weights.values()) sum += weight;
  return { score: sum * (voice === 'tool' ? TOOL_FACTOR : 1), signs: [...weights.keys()] };
}

function phrasesIn(plain: string): Phrase[] {
  const flat = plain.replaceAll('\n', ' ');
  return PHRASES.filter(({ pattern, byLine }) => pattern.test(byLine ? plain : flat));
}

const INVISIBLE = /\p{Default_Ignorable_Code_Point}/gu;

/** As the model may read it: invisible characters gone, tags as the letters that they stand for. */
function plainOf(text: string): string {
  let plain = text;
  // Most texts hold none of this, and need not be written anew.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all that is not ASCII
  if (/[^\u0000-\u007F]/.test(text)) {
    plain = text
      .replace(/[\u{E0020}-\u{E007E}]/gu, (tag) => String.fromCodePoint(tag.codePointAt(0)! - 0xe0000))
      .replace(INVISIBLE, '')
      .normalize('NFKC');
    plain = wordsAsLatin(plain);
  }
  return plain
    .toLowerCase()
    .replace(/[ \t\r\f\v]*\n[ \t\r\f\v]*/g, '\n')
    .replace(/[ \t]+/g, ' ');
}

/** Flags of England, Scotland and Wales are written with tags, too. */
const FLAGS = /\u{1F3F4}[\u{E0061}-\u{E007A}]{2,6}\u{E007F}/gu;

function hiddenWeight(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all that is not ASCII
  if (!/[^\u0000-\u007F]/.test(text)) return 0;
  const tags = text.replace(FLAGS, '').match(/[\u{E0000}-\u{E007F}]|[\u{E0100}-\u{E01EF}]{4}/gu)?.length ?? 0;
  if (tags > 0) return 1;
  // Soft hyphens and joiners have their uses; a run of what has no width spells something out.
  if (/[\u200B\u2060-\u2064\uFEFF\u200C\u200D]{8}/.test(text)) return 1;
  if (/\u202E[^\u202C]{4}/.test(text)) return 0.5;
  return /\p{L}[\u200B\u2060]\p{L}[\u200B\u2060]?\p{L}[\u200B\u2060]\p{L}/u.test(text) ? 0.5 : 0;
}

/** Base64 that reads as an attempt to override. */
const holdsEncoded = (text: string): boolean =>
  encodedTextsIn(text).some(({ text: decoded }) =>
    phrasesIn(plainOf(decoded)).some(({ sign, weight }) => weight >= 0.6 && sign !== 'addressed'),
  );
