CREATE TABLE "audit_log" (
	"ordinal" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "audit_log_ordinal_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"at" timestamp (3) with time zone NOT NULL,
	"actor" text NOT NULL,
	"actor_kind" text NOT NULL,
	"action" text NOT NULL,
	"subject" text NOT NULL,
	"team" text,
	"details" jsonb NOT NULL,
	"request_id" text
);
--> statement-breakpoint
CREATE TABLE "cached_answers" (
	"key" text PRIMARY KEY NOT NULL,
	"tenant" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"facts" jsonb NOT NULL,
	"body" "bytea" NOT NULL
);
--> statement-breakpoint
CREATE TABLE "client_keys" (
	"id" text PRIMARY KEY NOT NULL,
	"digest" text NOT NULL,
	"scheme" text NOT NULL,
	"prefix" text NOT NULL,
	"name" text NOT NULL,
	"team" text NOT NULL,
	"project" text,
	"role" text NOT NULL,
	"scopes" jsonb,
	"settings" jsonb NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"created_by" text NOT NULL,
	"expires_at" timestamp (3) with time zone,
	"revoked_at" timestamp (3) with time zone,
	"replaced_by" text,
	"last_used_at" timestamp (3) with time zone,
	"changed_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "client_keys_digest_unique" UNIQUE("digest")
);
--> statement-breakpoint
CREATE TABLE "limit_leases" (
	"id" text PRIMARY KEY NOT NULL,
	"limit_id" text NOT NULL,
	"period" text NOT NULL,
	"replica" text NOT NULL,
	"granted" double precision NOT NULL,
	"used" double precision DEFAULT 0 NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "limit_use" (
	"limit_id" text NOT NULL,
	"period" text NOT NULL,
	"used" double precision DEFAULT 0 NOT NULL,
	"leased" double precision DEFAULT 0 NOT NULL,
	"told" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "limit_use_limit_id_period_pk" PRIMARY KEY("limit_id","period")
);
--> statement-breakpoint
CREATE TABLE "limits" (
	"id" text PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"scope" text NOT NULL,
	"subject" text NOT NULL,
	"terms" jsonb NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"created_by" text NOT NULL,
	"changed_at" timestamp (3) with time zone NOT NULL,
	"removed_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "policies" (
	"version" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "policies_version_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"created_at" timestamp (3) with time zone NOT NULL,
	"created_by" text NOT NULL,
	"comment" text DEFAULT '' NOT NULL,
	"document" jsonb NOT NULL,
	"sha256" text NOT NULL,
	"activated_at" timestamp (3) with time zone,
	"activated_by" text
);
--> statement-breakpoint
CREATE TABLE "teams" (
	"name" text PRIMARY KEY NOT NULL,
	"description" text DEFAULT '' NOT NULL,
	"projects" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"settings" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"archived_at" timestamp (3) with time zone,
	"changed_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "web_sessions" (
	"digest" text PRIMARY KEY NOT NULL,
	"subject" text NOT NULL,
	"name" text NOT NULL,
	"role" text NOT NULL,
	"team" text,
	"key_id" text,
	"created_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"ended_at" timestamp (3) with time zone
);
--> statement-breakpoint
ALTER TABLE "decisions" ADD COLUMN "key_id" text;--> statement-breakpoint
ALTER TABLE "decisions" ADD COLUMN "project" text;--> statement-breakpoint
ALTER TABLE "decisions" ADD COLUMN "policy_version" bigint;--> statement-breakpoint
ALTER TABLE "decisions" ADD COLUMN "guards" jsonb;--> statement-breakpoint
ALTER TABLE "decisions" ADD COLUMN "cached" boolean DEFAULT false NOT NULL;--> statement-breakpoint
CREATE INDEX "audit_log_at" ON "audit_log" USING btree ("at");--> statement-breakpoint
CREATE INDEX "audit_log_team" ON "audit_log" USING btree ("team");--> statement-breakpoint
CREATE INDEX "cached_answers_expires_at" ON "cached_answers" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "cached_answers_tenant" ON "cached_answers" USING btree ("tenant");--> statement-breakpoint
CREATE INDEX "client_keys_changed_at" ON "client_keys" USING btree ("changed_at");--> statement-breakpoint
CREATE INDEX "client_keys_team" ON "client_keys" USING btree ("team");--> statement-breakpoint
CREATE INDEX "limit_leases_limit" ON "limit_leases" USING btree ("limit_id","period");--> statement-breakpoint
CREATE INDEX "limit_leases_expires_at" ON "limit_leases" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "web_sessions_expires_at" ON "web_sessions" USING btree ("expires_at");