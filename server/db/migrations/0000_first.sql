CREATE TABLE "artifact_blobs" (
	"sha256" text PRIMARY KEY NOT NULL,
	"content" "bytea" NOT NULL
);
--> statement-breakpoint
CREATE TABLE "artifacts" (
	"hash" text PRIMARY KEY NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"files" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "attempts" (
	"id" text PRIMARY KEY NOT NULL,
	"decision_id" text NOT NULL,
	"ordinal" integer NOT NULL,
	"provider" text NOT NULL,
	"model" text NOT NULL,
	"started_at" timestamp (3) with time zone NOT NULL,
	"status" text NOT NULL,
	"http_status" integer,
	"error_code" text,
	"input_tokens" bigint,
	"cached_input_tokens" bigint,
	"output_tokens" bigint,
	"reasoning_tokens" bigint,
	"cost_usd" double precision,
	"first_byte_ms" double precision,
	"total_ms" double precision NOT NULL
);
--> statement-breakpoint
CREATE TABLE "decisions" (
	"id" text PRIMARY KEY NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"tenant" text NOT NULL,
	"session" text,
	"requested_model" text NOT NULL,
	"routed" boolean NOT NULL,
	"model" text NOT NULL,
	"executed_model" text,
	"reason" text NOT NULL,
	"propensity" double precision NOT NULL,
	"explored" boolean NOT NULL,
	"floor" double precision NOT NULL,
	"distribution" jsonb NOT NULL,
	"ranked" jsonb NOT NULL,
	"filtered" jsonb NOT NULL,
	"facts" jsonb NOT NULL,
	"difficulty" double precision,
	"out_of_domain" double precision,
	"artifact" text,
	"encoder_id" text,
	"embedding" "bytea",
	"price_date" text NOT NULL,
	"baseline_model" text,
	"baseline_cost_usd" double precision,
	"router_ms" double precision
);
--> statement-breakpoint
CREATE TABLE "feedback" (
	"id" text PRIMARY KEY NOT NULL,
	"decision_id" text NOT NULL,
	"score" double precision NOT NULL,
	"source" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "outcomes" (
	"decision_id" text NOT NULL,
	"model_id" text NOT NULL,
	"quality" double precision NOT NULL,
	"sources" integer NOT NULL,
	"output_tokens" bigint,
	"cost_usd" double precision,
	"latency_ms" double precision,
	"first_labelled_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "outcomes_decision_id_model_id_pk" PRIMARY KEY("decision_id","model_id")
);
--> statement-breakpoint
CREATE TABLE "promotions" (
	"ordinal" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "promotions_ordinal_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"created_at" timestamp (3) with time zone NOT NULL,
	"kind" text NOT NULL,
	"artifact" text,
	"previous" text,
	"verdict" jsonb NOT NULL
);
--> statement-breakpoint
CREATE INDEX "attempts_decision_id" ON "attempts" USING btree ("decision_id");--> statement-breakpoint
CREATE INDEX "decisions_created_at" ON "decisions" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "feedback_decision_id" ON "feedback" USING btree ("decision_id");