-- Adds to the histograms; ?1 = JSON array of [minute, stage, bound, n, late, failed].
INSERT INTO minutes (minute_at_us, stage, up_to_us, n, late, failed)
SELECT b.value ->> 0, b.value ->> 1, b.value ->> 2, b.value ->> 3, b.value ->> 4, b.value ->> 5
FROM jsonb_each(?1) AS b
WHERE true
ON CONFLICT (minute_at_us, stage, up_to_us) DO UPDATE SET
    n = n + excluded.n, late = late + excluded.late, failed = failed + excluded.failed
