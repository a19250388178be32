CREATE TABLE "alarms" (
	"ordinal" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "alarms_ordinal_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"raised_at" timestamp (3) with time zone NOT NULL,
	"kind" text NOT NULL,
	"subject" text,
	"artifact" text,
	"details" jsonb NOT NULL,
	"shift" double precision DEFAULT 0 NOT NULL,
	"widen" double precision DEFAULT 0 NOT NULL,
	"changed_at" timestamp (3) with time zone,
	"cleared_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "candidates" (
	"model" text PRIMARY KEY NOT NULL,
	"first_seen_at" timestamp (3) with time zone NOT NULL,
	"explored" bigint NOT NULL,
	"retired_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "jobs" (
	"id" text PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"state" text NOT NULL,
	"reason" text NOT NULL,
	"options" jsonb NOT NULL,
	"requested_at" timestamp (3) with time zone NOT NULL,
	"started_at" timestamp (3) with time zone,
	"heartbeat_at" timestamp (3) with time zone,
	"finished_at" timestamp (3) with time zone,
	"runs" integer DEFAULT 0 NOT NULL,
	"progress" double precision DEFAULT 0 NOT NULL,
	"step" text,
	"result" jsonb,
	"error_code" text,
	"error_message" text
);
--> statement-breakpoint
CREATE TABLE "spending" (
	"day" text NOT NULL,
	"purpose" text NOT NULL,
	"usd" double precision NOT NULL,
	CONSTRAINT "spending_day_purpose_pk" PRIMARY KEY("day","purpose")
);
--> statement-breakpoint
CREATE TABLE "texts" (
	"decision_id" text PRIMARY KEY NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"redacted" boolean NOT NULL,
	"prompt" text NOT NULL,
	"answer" text
);
--> statement-breakpoint
ALTER TABLE "artifacts" ADD COLUMN "signature" text;--> statement-breakpoint
ALTER TABLE "decisions" ADD COLUMN "explorable" boolean DEFAULT true NOT NULL;--> statement-breakpoint
ALTER TABLE "decisions" ADD COLUMN "end_user" text;--> statement-breakpoint
ALTER TABLE "decisions" ADD COLUMN "trial" bigint;--> statement-breakpoint
ALTER TABLE "decisions" ADD COLUMN "arm" text;--> statement-breakpoint
ALTER TABLE "decisions" ADD COLUMN "arm_probability" double precision;--> statement-breakpoint
ALTER TABLE "decisions" ADD COLUMN "shadow" jsonb;--> statement-breakpoint
ALTER TABLE "decisions" ADD COLUMN "audit_probability" double precision;--> statement-breakpoint
ALTER TABLE "decisions" ADD COLUMN "audited" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "feedback" ADD COLUMN "kind" text DEFAULT 'verdict' NOT NULL;--> statement-breakpoint
ALTER TABLE "feedback" ADD COLUMN "weight" double precision DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "feedback" ADD COLUMN "tenant" text;--> statement-breakpoint
ALTER TABLE "feedback" ADD COLUMN "key" text;--> statement-breakpoint
ALTER TABLE "feedback" ADD COLUMN "label" text;--> statement-breakpoint
ALTER TABLE "outcomes" ADD COLUMN "kind" text DEFAULT 'verdict' NOT NULL;--> statement-breakpoint
ALTER TABLE "outcomes" ADD COLUMN "weight" double precision DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "outcomes" ADD COLUMN "audit_quality" double precision;--> statement-breakpoint
ALTER TABLE "promotions" ADD COLUMN "job_id" text;--> statement-breakpoint
ALTER TABLE "promotions" ADD COLUMN "trial" jsonb;--> statement-breakpoint
CREATE INDEX "alarms_raised_at" ON "alarms" USING btree ("raised_at");--> statement-breakpoint
CREATE INDEX "jobs_requested_at" ON "jobs" USING btree ("requested_at");--> statement-breakpoint
CREATE INDEX "texts_created_at" ON "texts" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "decisions_end_user" ON "decisions" USING btree ("tenant","end_user");--> statement-breakpoint
CREATE INDEX "decisions_session" ON "decisions" USING btree ("tenant","session");--> statement-breakpoint
CREATE INDEX "feedback_created_at" ON "feedback" USING btree ("created_at");--> statement-breakpoint
ALTER TABLE "promotions" ADD CONSTRAINT "promotions_job_id_unique" UNIQUE("job_id");