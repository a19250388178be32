CREATE TABLE "usage_calibration_pieces" (
	"at" timestamp (3) with time zone NOT NULL,
	"team" text NOT NULL,
	"artifact" text NOT NULL,
	"bin" integer NOT NULL,
	"judged" bigint DEFAULT 0 NOT NULL,
	"predicted_sum" double precision DEFAULT 0 NOT NULL,
	"observed_sum" double precision DEFAULT 0 NOT NULL
);
--> statement-breakpoint
ALTER TABLE "usage_touched" ADD COLUMN "pieces" integer;--> statement-breakpoint
CREATE INDEX "usage_calibration_pieces_at" ON "usage_calibration_pieces" USING btree ("at","team");--> statement-breakpoint
CREATE INDEX "usage_cells_model" ON "usage_cells" USING btree ("model","step","at");--> statement-breakpoint
CREATE INDEX "usage_cells_key" ON "usage_cells" USING btree ("key","step","at");--> statement-breakpoint
-- Marks say which pieces of an hour got decisions. Builds that know nothing of pieces read the hour, as before.
CREATE OR REPLACE FUNCTION "usage_touch_decisions"() RETURNS trigger LANGUAGE plpgsql AS $touch$
BEGIN
  INSERT INTO usage_touched (at, team, pieces)
  SELECT date_trunc('hour', created_at, 'UTC'), tenant,
    bit_or(1 << (extract(minute FROM created_at AT TIME ZONE 'UTC')::int / 3))
  FROM fresh GROUP BY 1, 2;
  RETURN NULL;
END
$touch$;
