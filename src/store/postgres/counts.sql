-- Jobs by state and type of their last failure, as kept.
SELECT state, error_type, n FROM counts WHERE n > 0
