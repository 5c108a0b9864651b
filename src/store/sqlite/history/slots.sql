-- The histograms of `minutes`, summed over longer spans; ?1 = array of [from, to), a span each. A range of its primary key a
-- span.
SELECT s.key, m.stage, m.up_to_us, sum(m.n), sum(m.late), sum(m.failed)
FROM json_each(?1) AS s CROSS JOIN minutes AS m ON m.minute_at_us >= s.value ->> 0 AND m.minute_at_us < s.value ->> 1
GROUP BY s.key, m.stage, m.up_to_us
