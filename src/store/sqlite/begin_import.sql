-- An import begins; ?1 = source, ?2 = now.
INSERT INTO imports (source, started_at_us) VALUES (?1, ?2)
