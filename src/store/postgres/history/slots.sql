-- The histograms of `minutes`, summed over longer spans; $1, $2 = from and to of each. A range of its primary key a span.
SELECT s.n - 1, m.stage, m.up_to_us, sum(m.n)::bigint, sum(m.late)::bigint, sum(m.failed)::bigint
FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS s(from_us, to_us, n)
JOIN minutes AS m ON m.minute_at_us >= s.from_us AND m.minute_at_us < s.to_us
GROUP BY s.n, m.stage, m.up_to_us
