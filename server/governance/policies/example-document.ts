/** A policy to begin with, as `pointsman policy example` prints it. */

/** Its examples come out with the configuration of {@link EXAMPLE_CONFIG}. */
export const EXAMPLE_POLICY = `# A policy: what teams, keys and tags may use. All rules that apply hold together, and a rule
# only ever restricts. Try it:   pointsman policy test policy.yaml
# Take it up:                    policies: { file: policy.yaml }   in pointsman.yaml
#                          or:   pointsman policy push policy.yaml --comment why --activate
version: 1

rules:
  # Data residency. A place whose region nobody has said (providers.NAME.region) is in none.
  - name: eu-only
    when: { tags: [eu-only] }
    regions: { allow: [eu-*, europe-*] }
    # Under a rule about places, verifiers that are sent prompts are told nothing unless it names them.
    verifiers: { allow: [] }

  # Whatever carries this tag never leaves these providers: nor by fail-over, hedge, judge or batch.
  - name: patient-data
    when: { tags: [patient-data] }
    providers: { allow: [clinic-vllm] }
    exploration: false
    cache: false
    guards:
      - { name: patient-pii, kind: pii, kinds: [email, phone], on: prompt, action: mask }

  # A team that may use cheap models only; its soft limits make nothing cheaper still.
  - name: interns use cheap models
    when: { teams: [interns], surfaces: { none: [embeddings] } }
    models: { allow: ['clinic-vllm/*', 'openai/gpt-*-mini', 'openai/gpt-*-nano'] }
    softLimits: false

  # For everybody: no model of this maker, and no secrets in prompts.
  - name: everybody
    models: { deny: ['deepseek/*', '*/deepseek*'] }
    guards:
      - { name: secrets, kind: pii, kinds: [secret], on: prompt, action: block }

examples:
  - name: patient data stays in the clinic
    request: { team: ward, tags: [patient-data], text: 'Write to jane.doe@example.com about her results' }
    expect:
      allowed: [clinic-vllm/llama]
      denied: [openai/gpt-5.4-mini, azure-eu/gpt-6]
      explores: false
      cacheSeconds: 0
      verifiers: { denied: [quality] }
      guards: { email: masked, secrets: passed }

  - name: a client may restrict itself, whatever its key allows
    request: { clientTags: [EU-only], model: openai/gpt-5.4-mini }
    expect:
      refused: true
      allowed:
        - { model: azure-eu/gpt-6, provider: azure-eu, region: europe-west }
        - { model: any/model, provider: any, region: eu-west-1 }
      rules: [eu-only, everybody]

  - name: interns get no large model, but may embed with any
    request: { team: interns }
    expect:
      allowed: [openai/gpt-5.4-mini]
      denied: [openai/gpt-6-sol, azure-eu/gpt-6]
      softLimits: false

  - name: embeddings are not what the rule for interns is about
    request: { team: interns, surface: embeddings, model: openai/text-embedding-3-large }
    expect: { refused: false }

  - name: a password in a prompt goes nowhere
    request: { text: 'sign in as root, password: correct-horse' }
    expect: { guards: { secrets: blocked } }
`;

/** The providers that it speaks of. */
export const EXAMPLE_CONFIG = `providers:
  clinic-vllm: { baseUrl: 'http://10.0.0.7:8000/v1', region: eu-clinic }
  azure-eu: { type: azure, resource: clinic, region: europe-west, apiKeyEnv: AZURE_EU_KEY }
`;
