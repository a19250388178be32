CREATE TABLE "usage_calibration" (
	"at" timestamp (3) with time zone NOT NULL,
	"team" text NOT NULL,
	"artifact" text NOT NULL,
	"bin" integer NOT NULL,
	"judged" bigint DEFAULT 0 NOT NULL,
	"predicted_sum" double precision DEFAULT 0 NOT NULL,
	"observed_sum" double precision DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE "usage_calls" (
	"step" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"team" text NOT NULL,
	"provider" text NOT NULL,
	"model" text NOT NULL,
	"deployment" text NOT NULL,
	"calls" bigint DEFAULT 0 NOT NULL,
	"errors" bigint DEFAULT 0 NOT NULL,
	"cancelled" bigint DEFAULT 0 NOT NULL,
	"h0" integer DEFAULT 0 NOT NULL,
	"h1" integer DEFAULT 0 NOT NULL,
	"h2" integer DEFAULT 0 NOT NULL,
	"h3" integer DEFAULT 0 NOT NULL,
	"h4" integer DEFAULT 0 NOT NULL,
	"h5" integer DEFAULT 0 NOT NULL,
	"h6" integer DEFAULT 0 NOT NULL,
	"h7" integer DEFAULT 0 NOT NULL,
	"h8" integer DEFAULT 0 NOT NULL,
	"h9" integer DEFAULT 0 NOT NULL,
	"h10" integer DEFAULT 0 NOT NULL,
	"h11" integer DEFAULT 0 NOT NULL,
	"h12" integer DEFAULT 0 NOT NULL,
	"h13" integer DEFAULT 0 NOT NULL,
	"h14" integer DEFAULT 0 NOT NULL,
	"h15" integer DEFAULT 0 NOT NULL,
	"h16" integer DEFAULT 0 NOT NULL,
	"h17" integer DEFAULT 0 NOT NULL,
	"h18" integer DEFAULT 0 NOT NULL,
	"h19" integer DEFAULT 0 NOT NULL,
	"h20" integer DEFAULT 0 NOT NULL,
	"h21" integer DEFAULT 0 NOT NULL,
	"h22" integer DEFAULT 0 NOT NULL,
	"h23" integer DEFAULT 0 NOT NULL,
	"h24" integer DEFAULT 0 NOT NULL,
	"h25" integer DEFAULT 0 NOT NULL,
	"h26" integer DEFAULT 0 NOT NULL,
	"h27" integer DEFAULT 0 NOT NULL,
	"f0" integer DEFAULT 0 NOT NULL,
	"f1" integer DEFAULT 0 NOT NULL,
	"f2" integer DEFAULT 0 NOT NULL,
	"f3" integer DEFAULT 0 NOT NULL,
	"f4" integer DEFAULT 0 NOT NULL,
	"f5" integer DEFAULT 0 NOT NULL,
	"f6" integer DEFAULT 0 NOT NULL,
	"f7" integer DEFAULT 0 NOT NULL,
	"f8" integer DEFAULT 0 NOT NULL,
	"f9" integer DEFAULT 0 NOT NULL,
	"f10" integer DEFAULT 0 NOT NULL,
	"f11" integer DEFAULT 0 NOT NULL,
	"f12" integer DEFAULT 0 NOT NULL,
	"f13" integer DEFAULT 0 NOT NULL,
	"f14" integer DEFAULT 0 NOT NULL,
	"f15" integer DEFAULT 0 NOT NULL,
	"f16" integer DEFAULT 0 NOT NULL,
	"f17" integer DEFAULT 0 NOT NULL,
	"f18" integer DEFAULT 0 NOT NULL,
	"f19" integer DEFAULT 0 NOT NULL,
	"f20" integer DEFAULT 0 NOT NULL,
	"f21" integer DEFAULT 0 NOT NULL,
	"f22" integer DEFAULT 0 NOT NULL,
	"f23" integer DEFAULT 0 NOT NULL,
	"f24" integer DEFAULT 0 NOT NULL,
	"f25" integer DEFAULT 0 NOT NULL,
	"f26" integer DEFAULT 0 NOT NULL,
	"f27" integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE "usage_cells" (
	"step" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"team" text NOT NULL,
	"project" text NOT NULL,
	"key" text NOT NULL,
	"model" text NOT NULL,
	"provider" text NOT NULL,
	"artifact" text NOT NULL,
	"surface" text NOT NULL,
	"reason" text NOT NULL,
	"requests" bigint DEFAULT 0 NOT NULL,
	"routed" bigint DEFAULT 0 NOT NULL,
	"errors" bigint DEFAULT 0 NOT NULL,
	"cached" bigint DEFAULT 0 NOT NULL,
	"guarded" bigint DEFAULT 0 NOT NULL,
	"blocked" bigint DEFAULT 0 NOT NULL,
	"input_tokens" bigint DEFAULT 0 NOT NULL,
	"output_tokens" bigint DEFAULT 0 NOT NULL,
	"cost_usd" double precision DEFAULT 0 NOT NULL,
	"compared" bigint DEFAULT 0 NOT NULL,
	"compared_cost_usd" double precision DEFAULT 0 NOT NULL,
	"baseline_cost_usd" double precision DEFAULT 0 NOT NULL,
	"judged" bigint DEFAULT 0 NOT NULL,
	"quality_sum" double precision DEFAULT 0 NOT NULL,
	"forecast" bigint DEFAULT 0 NOT NULL,
	"predicted_sum" double precision DEFAULT 0 NOT NULL,
	"h0" integer DEFAULT 0 NOT NULL,
	"h1" integer DEFAULT 0 NOT NULL,
	"h2" integer DEFAULT 0 NOT NULL,
	"h3" integer DEFAULT 0 NOT NULL,
	"h4" integer DEFAULT 0 NOT NULL,
	"h5" integer DEFAULT 0 NOT NULL,
	"h6" integer DEFAULT 0 NOT NULL,
	"h7" integer DEFAULT 0 NOT NULL,
	"h8" integer DEFAULT 0 NOT NULL,
	"h9" integer DEFAULT 0 NOT NULL,
	"h10" integer DEFAULT 0 NOT NULL,
	"h11" integer DEFAULT 0 NOT NULL,
	"h12" integer DEFAULT 0 NOT NULL,
	"h13" integer DEFAULT 0 NOT NULL,
	"h14" integer DEFAULT 0 NOT NULL,
	"h15" integer DEFAULT 0 NOT NULL,
	"h16" integer DEFAULT 0 NOT NULL,
	"h17" integer DEFAULT 0 NOT NULL,
	"h18" integer DEFAULT 0 NOT NULL,
	"h19" integer DEFAULT 0 NOT NULL,
	"h20" integer DEFAULT 0 NOT NULL,
	"h21" integer DEFAULT 0 NOT NULL,
	"h22" integer DEFAULT 0 NOT NULL,
	"h23" integer DEFAULT 0 NOT NULL,
	"h24" integer DEFAULT 0 NOT NULL,
	"h25" integer DEFAULT 0 NOT NULL,
	"h26" integer DEFAULT 0 NOT NULL,
	"h27" integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE "usage_kept" (
	"team" text PRIMARY KEY NOT NULL,
	"through" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "usage_pending" (
	"at" timestamp (3) with time zone NOT NULL,
	"team" text
);
--> statement-breakpoint
CREATE TABLE "usage_slices" (
	"step" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"team" text NOT NULL,
	"dimension" text NOT NULL,
	"value" text NOT NULL,
	"requests" bigint DEFAULT 0 NOT NULL,
	"routed" bigint DEFAULT 0 NOT NULL,
	"errors" bigint DEFAULT 0 NOT NULL,
	"cached" bigint DEFAULT 0 NOT NULL,
	"guarded" bigint DEFAULT 0 NOT NULL,
	"blocked" bigint DEFAULT 0 NOT NULL,
	"input_tokens" bigint DEFAULT 0 NOT NULL,
	"output_tokens" bigint DEFAULT 0 NOT NULL,
	"cost_usd" double precision DEFAULT 0 NOT NULL,
	"compared" bigint DEFAULT 0 NOT NULL,
	"compared_cost_usd" double precision DEFAULT 0 NOT NULL,
	"baseline_cost_usd" double precision DEFAULT 0 NOT NULL,
	"judged" bigint DEFAULT 0 NOT NULL,
	"quality_sum" double precision DEFAULT 0 NOT NULL,
	"forecast" bigint DEFAULT 0 NOT NULL,
	"predicted_sum" double precision DEFAULT 0 NOT NULL,
	"h0" integer DEFAULT 0 NOT NULL,
	"h1" integer DEFAULT 0 NOT NULL,
	"h2" integer DEFAULT 0 NOT NULL,
	"h3" integer DEFAULT 0 NOT NULL,
	"h4" integer DEFAULT 0 NOT NULL,
	"h5" integer DEFAULT 0 NOT NULL,
	"h6" integer DEFAULT 0 NOT NULL,
	"h7" integer DEFAULT 0 NOT NULL,
	"h8" integer DEFAULT 0 NOT NULL,
	"h9" integer DEFAULT 0 NOT NULL,
	"h10" integer DEFAULT 0 NOT NULL,
	"h11" integer DEFAULT 0 NOT NULL,
	"h12" integer DEFAULT 0 NOT NULL,
	"h13" integer DEFAULT 0 NOT NULL,
	"h14" integer DEFAULT 0 NOT NULL,
	"h15" integer DEFAULT 0 NOT NULL,
	"h16" integer DEFAULT 0 NOT NULL,
	"h17" integer DEFAULT 0 NOT NULL,
	"h18" integer DEFAULT 0 NOT NULL,
	"h19" integer DEFAULT 0 NOT NULL,
	"h20" integer DEFAULT 0 NOT NULL,
	"h21" integer DEFAULT 0 NOT NULL,
	"h22" integer DEFAULT 0 NOT NULL,
	"h23" integer DEFAULT 0 NOT NULL,
	"h24" integer DEFAULT 0 NOT NULL,
	"h25" integer DEFAULT 0 NOT NULL,
	"h26" integer DEFAULT 0 NOT NULL,
	"h27" integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE "usage_state" (
	"name" text PRIMARY KEY NOT NULL,
	"at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "usage_touched" (
	"at" timestamp (3) with time zone,
	"team" text,
	"decisions" text[],
	"said" boolean DEFAULT false NOT NULL
);
--> statement-breakpoint
CREATE INDEX "usage_calibration_at" ON "usage_calibration" USING btree ("at","team");--> statement-breakpoint
CREATE INDEX "usage_calls_at" ON "usage_calls" USING btree ("step","at","team");--> statement-breakpoint
CREATE INDEX "usage_cells_at" ON "usage_cells" USING btree ("step","at","team");--> statement-breakpoint
CREATE INDEX "usage_slices_at" ON "usage_slices" USING btree ("dimension","step","at","team");--> statement-breakpoint
-- All at once: a query that holds one of them and waits for another could wait for us, too.
LOCK TABLE "decisions", "attempts", "texts", "feedback", "outcomes" IN ACCESS EXCLUSIVE MODE;--> statement-breakpoint
-- What is there becomes the first partition, where it lies: up to the end of next month. An index or a check that was
-- made beforehand (README.md) is taken as it is; else both are made now, which reads the table once each.
DO $partition$
DECLARE
  t record;
  i record;
  moment_bound timestamptz;
  newest timestamptz;
BEGIN
  FOR t IN
    SELECT * FROM (VALUES
      ('decisions', 'created_at', 'id', 'decisions_id_created_at_pk'),
      ('attempts', 'started_at', 'id', 'attempts_id_started_at_pk'),
      ('texts', 'created_at', 'decision_id', 'texts_decision_id_created_at_pk')
    ) AS v(name, moment, id, key)
  LOOP
    EXECUTE format('ALTER TABLE %I RENAME TO %I', t.name, t.name || '_before');
    EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', t.name || '_before', t.name || '_pkey');
    FOR i IN
      SELECT indexname FROM pg_indexes
      WHERE schemaname = current_schema() AND tablename = t.name || '_before'
    LOOP
      EXECUTE format('ALTER INDEX %I RENAME TO %I', i.indexname, t.name || '_before' || substr(i.indexname, length(t.name) + 1));
    END LOOP;
    IF to_regclass(format('%I', t.name || '_before_by_time')) IS NOT NULL THEN
      EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I PRIMARY KEY USING INDEX %I',
        t.name || '_before', t.name || '_before_pkey', t.name || '_before_by_time');
    ELSE
      EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I PRIMARY KEY (%I, %I)',
        t.name || '_before', t.name || '_before_pkey', t.id, t.moment);
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING STORAGE, CONSTRAINT %I PRIMARY KEY (%I, %I)) PARTITION BY RANGE (%I)',
      t.name, t.name || '_before', t.key, t.id, t.moment, t.moment);
    moment_bound := (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '2 months') AT TIME ZONE 'UTC';
    BEGIN
      EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%L)', t.name, t.name || '_before', moment_bound);
    EXCEPTION WHEN check_violation THEN
      -- Rows that say they are of the future.
      EXECUTE format('SELECT max(%I) FROM %I', t.moment, t.name || '_before') INTO newest;
      moment_bound := (date_trunc('month', newest AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
      EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%L)', t.name, t.name || '_before', moment_bound);
    END;
    -- Made beforehand, it has told what it was for; rows may be newer than it.
    EXECUTE format('ALTER TABLE %I DROP CONSTRAINT IF EXISTS %I', t.name || '_before', t.name || '_bound');
    -- No insert fails for its time.
    EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', t.name || '_rest', t.name);
  END LOOP;
END
$partition$;--> statement-breakpoint
-- Indexes of the partition that are like these are taken for theirs.
CREATE INDEX "decisions_created_at" ON "decisions" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "decisions_team" ON "decisions" USING btree ("tenant","created_at");--> statement-breakpoint
CREATE INDEX "decisions_end_user" ON "decisions" USING btree ("tenant","end_user");--> statement-breakpoint
CREATE INDEX "decisions_session" ON "decisions" USING btree ("tenant","session");--> statement-breakpoint
CREATE INDEX "attempts_decision_id" ON "attempts" USING btree ("decision_id");--> statement-breakpoint
CREATE INDEX "texts_created_at" ON "texts" USING btree ("created_at");--> statement-breakpoint
CREATE FUNCTION "usage_touch_decisions"() RETURNS trigger LANGUAGE plpgsql AS $touch$
BEGIN
  INSERT INTO usage_touched (at, team) SELECT DISTINCT date_trunc('hour', created_at, 'UTC'), tenant FROM fresh;
  RETURN NULL;
END
$touch$;--> statement-breakpoint
CREATE FUNCTION "usage_touch_calls"() RETURNS trigger LANGUAGE plpgsql AS $touch$
BEGIN
  INSERT INTO usage_touched (decisions) SELECT array_agg(DISTINCT decision_id) FROM fresh HAVING count(*) > 0;
  RETURN NULL;
END
$touch$;--> statement-breakpoint
CREATE FUNCTION "usage_touch_feedback"() RETURNS trigger LANGUAGE plpgsql AS $touch$
BEGIN
  INSERT INTO usage_touched (decisions, said) SELECT array_agg(DISTINCT decision_id), true FROM fresh HAVING count(*) > 0;
  RETURN NULL;
END
$touch$;--> statement-breakpoint
CREATE TRIGGER "decisions_touched" AFTER INSERT ON "decisions" REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION "usage_touch_decisions"();--> statement-breakpoint
CREATE TRIGGER "attempts_touched" AFTER INSERT ON "attempts" REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION "usage_touch_calls"();--> statement-breakpoint
CREATE TRIGGER "feedback_touched" AFTER INSERT ON "feedback" REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION "usage_touch_feedback"();--> statement-breakpoint
CREATE TRIGGER "outcomes_added" AFTER INSERT ON "outcomes" REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION "usage_touch_calls"();--> statement-breakpoint
CREATE TRIGGER "outcomes_changed" AFTER UPDATE ON "outcomes" REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION "usage_touch_calls"();
