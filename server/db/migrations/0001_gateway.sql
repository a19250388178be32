CREATE TABLE "deployment_health" (
	"deployment" text PRIMARY KEY NOT NULL,
	"failures" integer NOT NULL,
	"rests_until" timestamp (3) with time zone,
	"updated_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "held_objects" (
	"id" text NOT NULL,
	"kind" text NOT NULL,
	"tenant" text NOT NULL,
	"provider" text NOT NULL,
	"deployment" text NOT NULL,
	"model" text,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "held_objects_tenant_id_pk" PRIMARY KEY("tenant","id")
);
--> statement-breakpoint
CREATE TABLE "provider_keys" (
	"id" text PRIMARY KEY NOT NULL,
	"provider" text NOT NULL,
	"name" text NOT NULL,
	"tenant" text,
	"weight" double precision NOT NULL,
	"sealed" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "provider_keys_name" UNIQUE("provider","name")
);
--> statement-breakpoint
CREATE TABLE "sessions" (
	"tenant" text NOT NULL,
	"session" text NOT NULL,
	"model" text NOT NULL,
	"deployment" text,
	"prefix_tokens" bigint NOT NULL,
	"locked" text,
	"updated_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "sessions_tenant_session_pk" PRIMARY KEY("tenant","session")
);
--> statement-breakpoint
ALTER TABLE "attempts" ADD COLUMN "deployment" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "attempts" ADD COLUMN "purpose" text DEFAULT 'answer' NOT NULL;--> statement-breakpoint
ALTER TABLE "attempts" ADD COLUMN "cache_write_tokens" bigint;--> statement-breakpoint
ALTER TABLE "decisions" ADD COLUMN "key" text;--> statement-breakpoint
ALTER TABLE "decisions" ADD COLUMN "surface" text DEFAULT 'chat' NOT NULL;--> statement-breakpoint
ALTER TABLE "decisions" ADD COLUMN "tags" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "decisions" ADD COLUMN "observed" jsonb;--> statement-breakpoint
CREATE INDEX "sessions_updated_at" ON "sessions" USING btree ("updated_at");