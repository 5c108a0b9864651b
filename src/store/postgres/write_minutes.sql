-- Adds to the histograms; one array a column; lock_kept.sql is taken before.
INSERT INTO minutes (minute_at_us, stage, up_to_us, n, late, failed)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
ON CONFLICT (minute_at_us, stage, up_to_us) DO UPDATE SET
    n = minutes.n + excluded.n, late = minutes.late + excluded.late, failed = minutes.failed + excluded.failed
