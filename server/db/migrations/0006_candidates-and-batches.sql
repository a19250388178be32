CREATE TABLE "batch_files" (
	"tenant" text NOT NULL,
	"file" text NOT NULL,
	"asked" jsonb NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "batch_files_tenant_file_pk" PRIMARY KEY("tenant","file")
);
--> statement-breakpoint
CREATE TABLE "batch_reserves" (
	"id" text PRIMARY KEY NOT NULL,
	"tenant" text NOT NULL,
	"provider" text NOT NULL,
	"deployment" text NOT NULL,
	"batch" text,
	"caller" jsonb NOT NULL,
	"expected" jsonb NOT NULL,
	"holds" jsonb NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"ends_at" timestamp (3) with time zone NOT NULL,
	"looked_at" timestamp (3) with time zone NOT NULL,
	"settled_by" text,
	"settled_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "candidate_lists" (
	"hash" text PRIMARY KEY NOT NULL,
	"models" jsonb NOT NULL,
	"used_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "decisions" ADD COLUMN "candidates" "bytea";--> statement-breakpoint
ALTER TABLE "decisions" ADD COLUMN "candidate_list" text;--> statement-breakpoint
CREATE INDEX "batch_files_created_at" ON "batch_files" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "batch_reserves_batch" ON "batch_reserves" USING btree ("tenant","batch");--> statement-breakpoint
CREATE INDEX "batch_reserves_open" ON "batch_reserves" USING btree ("settled_at","looked_at");--> statement-breakpoint
-- An earlier build that erases a person knows of "ranked" alone: what is packed of it goes as well.
CREATE FUNCTION "erase_candidates"() RETURNS trigger LANGUAGE plpgsql AS $erase$
BEGIN
  NEW.candidates := NULL;
  NEW.candidate_list := NULL;
  RETURN NEW;
END
$erase$;--> statement-breakpoint
CREATE TRIGGER "decisions_erased" BEFORE UPDATE OF "ranked" ON "decisions" FOR EACH ROW
  WHEN (NEW.candidates IS NOT NULL AND NEW.ranked = '[]'::jsonb) EXECUTE FUNCTION "erase_candidates"();
