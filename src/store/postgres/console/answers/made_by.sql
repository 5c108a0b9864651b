-- The imports whose rows become requests in this way, since a rerender also those that came before it; $1 = request flags.
SELECT id FROM imports WHERE template = $1::text
