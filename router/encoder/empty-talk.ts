/**
 * Tells sentences that say nothing of the task: greetings, thanks, "answer the following question", and talk to
 * the router ("this is easy, use the cheap model"). One rule for all: every word is from a closed list, and one of
 * them is a sign of such talk. So wordings never seen are covered, and one word of the task lifts a sentence out.
 */

/** Words that leave a sentence empty, but do not make it so. No he, she or they: stories are about them. */
const PLAIN = words(`
  a an the this that these those it it's its it'll that's that'll there there's here here's there'll
  i i'm i'd i've i'll me my mine myself we we're us our ours you you're you've you'd your yours yourself
  is are isn't aren't was wasn't were be been being am do does did don't doesn't didn't don done doing have has had having haven't
  can can't cannot could couldn't would wouldn't will won't should shouldn't shall must mustn't may might needn't
  not no nor never none without with within to for of in on at by from as into onto over under out off up down about around
  and or so but if though because since while when whenever where why how what what's which who than then thus hence
  all any every each both some such other another same own only just even still also too very really quite rather pretty super
  extremely incredibly highly totally completely fairly relatively absolutely definitely certainly clearly obviously surely honestly
  literally actually basically probably possibly maybe perhaps perfectly easily quickly carefully properly truly fully greatly much
  more most less least many few lot lots little bit enough almost already again always ever often now today soon later
  one ones once thing things something anything nothing everything someone anyone everyone anybody everybody nobody stuff
  get gets getting got give gives given giving go goes going come use uses used using take takes taking taken make makes making made
  let let's lets want wants wanted wanna gonna like need needs needed needing know knows known tell say says said see look show
  try trying tried keep put run find found finding finds figure think thought believe guess assume suppose mean means feel
  hope hoping guys folks team sir madam friend buddy mate dude
  good great nice fine ok okay well sure right correct correctly proper appropriate suitable accurate best better kind kindest warm
  wonderful lovely happy glad able available possible necessary important ready required requires require requiring
  way time times moment minute second day days morning afternoon evening night week weekend advance ahead back forward hand hands
  quick brief briefly short following below above next last first final end new old provided stated listed attached mentioned
  assistant ai bot language chatbot system user users human person people message note warning attention reminder hint tip fyi ps nb btw
  multiple choice choices single letter item exercise homework assignment test exam quiz statement
  teacher boss professor child kid kids kindergartner baby grandma grandmother toddler student monkey novice
  work works working job point matter matters case level grade high higher highest low lower lowest medium
  handle handles handled manage deal doable deserve deserves worth suffice suffices sufficient sufficiently fit
  prefer preferred pass passed forward assign assigned call calls redirect direct directly send sends sent switch treat treated
  consider considered mark marked label labelled labeled rate rated classify classified detected count counts answerable solvable
  instead via through straight beyond after before during between toward towards anyway whatever
  brain brains brainpower intelligent clever genius knowledge logic reason reasons reasoning deep deeply long breath
  gun guns piece walk park rocket science major minor real serious normal usual common special
  looking hearing hear seeing money economy step steps thorough thoroughly careful care cares caring trouble
  stuck struggling confused confusing idea clue asked asking asks ask output return write overthink
  set sets setting settings size sizes skip skipping mode modes policy provider providers category belong belongs bring brings brought
  stand stands chance success successful succeed predicted prediction probability estimated expected rely side
  state indicate examine evaluate review complete determine decide deliver produce receive received submit accordingly
  owe rock rocks legend lifesaver awaiting await wait waiting god bless fantastic amazing awesome excellent perfect brilliant pleasant
  partner pal colleague colleagues friends class course school college university grader schooler pupil layman half asleep
  worry panic relax fun simply merely solely until unless either therefore however yesterday tomorrow tonight currently recently
  nearly anywhere somewhere nowhere finally immediately instantly asap allow allowed ensure remember noted pretend act acting play hit miss
  ich habe eine frage sehr mit das nimm j'ai une la le c'est très utilise bonne journée tengo una pregunta es muy usa el
`);

/** Greeting, thanks, politeness; what a question is called and what is done with one. One word is enough. */
const SIGN = words(`
  hi hello hey hiya howdy yo sup greetings salutations dear welcome alternatives query queries input instruction thanks thank thankful thx tnx tia ty cheers regards sincerely wishes
  appreciate appreciated appreciation grateful gratitude please pls plz kindly help helping helpful helps assist assistance
  wondering favor favour sorry excuse bother pardon bye goodbye chatgpt mind rush 
  hallo moin servus guten tag morgen abend danke bitte vielen dank grüße im voraus
  bonjour bonsoir salut merci beaucoup svp hola buenos buenas días tardes noches gracias muchas por favor saludos de antemano
  ciao salve buongiorno grazie mille olá oi obrigado obrigada hoi dankjewel hej tack cześć dziękuję
  привет здравствуйте спасибо пожалуйста 你好 您好 谢谢 请 谢谢你 こんにちは ありがとう ありがとうございます 안녕하세요 감사합니다
  नमस्ते धन्यवाद مرحبا شكرا
  question questions problem problems task tasks prompt request requests answer answers answering answered respond response
  reply replies solve solves solved solving solution solutions select choose choosing pick picking option options read mcq mcqs
`);

/** What a router deals with. Two words at least: alone it could be an answer. */
const ROUTER = words(`
  model models modell modèle modelo llm llms engine engines router routers routing route routed tier tiers candidate candidates
  difficulty complexity instructions prompts override overriding overrule bypass escalate escalating escalation downgrade upgrade
`);

/** Claims of ease, size and price. Two words at least, and no question: "how much did it cost?" is a task. */
const CLAIM = words(`
  easy easier easiest easy-peasy einfach leicht facile fácil trivial trivially simple simpler simplest basic elementary effortless straightforward no-brainer warm-up
  hard harder hardest difficult challenging challenge tough tougher toughest tricky complex complicated sophisticated critical urgent stakes
  expert experts expertise advanced beginner graduate-level phd-level school-level intermediate thinking intelligence cake fancy rough
  cheap cheaper cheapest cheaply billig billigste petit inexpensive economical free expensive costly pricey cost costs price prices budget save saving
  waste wasting wasted expense spend spending spare tokens minimise minimize parameters
  small smaller smallest tiny tiniest weak weaker weakest light lighter lightest lightweight nano mini lite micro flash turbo
  big bigger biggest large larger largest strong stronger strongest smart smarter smartest powerful capable premium frontier flagship
  heavyweight brutal effort state-of-the-art sota top fast faster fastest speed default quality accuracy score priority decision
  ignore disregard forget previous prior earlier rules rule ultrathink
`);

/** Names of models, with whatever version: `gpt-4o-mini`, `claude-haiku`, `llama-3.1-8b`, `o1`. */
const MODEL_NAME =
  /^(?:(?:chat-?)?gpt|claude|haiku|sonnet|opus|gemini|gemma|llama|mistral|mixtral|ministral|qwen|deepseek|grok|kimi|glm|minimax|phi-|command-r|o[134])(?:[\d./-][\w./-]*)?$/;

/** `10`, `1/10`, `7b`. */
const NUMBER = /^\d[\d./]*b?$/;
/** Letters, digits and the marks between them. */
const WORD = /([\p{L}\p{M}\p{N}]+(?:['./-]+[\p{L}\p{M}\p{N}]+)*)/gu;
/** `Q:` before a question, `A:` after it, `I would like to know the following:`. */
const ANNOUNCED = /^[qa]:$|\bfollowing ?:$/;
const SALUTATION =
  /\b(?:good|nice|great|lovely|wonderful|happy) (?:morning|afternoon|evening|night|day|week|weekend|time)\b/;
/** Where a sentence of the task and one of talk may meet, or the one goes on. */
const INNER_BREAK = /[.!?,;)\]] .|[:,]$/;
/** No empty sentence has more words. */
const MOST_WORDS = 30;
/** Behind one of these a single strange word is a name: "Hi Anna," "Thanks, Dr. Lee". */
const ADDRESSING =
  /^\W*(?:hi|hello|hey|dear|good (?:morning|afternoon|evening)|thanks|thank you|cheers|hallo|liebe[rs]?|bonjour|hola|ciao)\b/;

/**
 * True when a sentence could stand before or after any task.
 * @param sentence at most a few hundred characters, in any case
 * @param whole    false where it may not be one sentence: then no word outside the lists is let pass
 */
export function isEmptyTalk(sentence: string, whole = true): boolean {
  const lower = sentence.toLowerCase();
  if (lower === 'q:') return true;
  let count = 0;
  let numbers = 0;
  let strange = 0;
  let signs = 0;
  let router = 0;
  let claims = 0;
  WORD.lastIndex = 0;
  for (let match = WORD.exec(lower); match !== null; match = WORD.exec(lower)) {
    if (++count > MOST_WORDS) return false;
    const word = match[1]!;
    if (PLAIN.has(word)) continue;
    if (SIGN.has(word)) signs++;
    else if (ROUTER.has(word) || MODEL_NAME.test(word)) router++;
    else if (CLAIM.has(word)) claims++;
    else if (NUMBER.test(word)) numbers++;
    else if (!whole || ++strange > 1) return false;
  }
  const question = lower.includes('?');
  if (strange + numbers > 0) {
    if (numbers === 0 && count < 5 && ADDRESSING.test(lower)) return true;
    // An order to the router names what it deals with and makes a claim: one word more does not make it a task.
    const order = router > 0 && (strange === 0 ? count > 1 : router + claims > 1 && !question);
    return order && !INNER_BREAK.test(lower);
  }
  if (signs > 0 || (count > 1 && (router > 0 || (claims > 0 && !question)))) return true;
  return ANNOUNCED.test(lower) || SALUTATION.test(lower);
}

/** A polite way into a question or an order, without a mark behind it: `could you please tell me`. */
export const POLITE_OPENING =
  /^(?:please,? |kindly |(?:could|can|would|will) you (?:please |kindly )?(?=(?:tell|give|show|help|explain|let)\b)|(?:could|can|would|will) you (?:please|kindly) )?(?:(?:please )?(?:tell|show|give) me |help me (?:to |with )?|let me know |i(?:'d| would) like (?:you )?to (?:know )?|i (?:want|need) (?:you )?to (?:know )?)?/i;

function words(list: string): ReadonlySet<string> {
  return new Set(list.split(/\s+/).filter((w) => w !== ''));
}
