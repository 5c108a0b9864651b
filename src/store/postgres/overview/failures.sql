-- The view looks up one example a type in an index.
SELECT error_type, failed, retrying, percent, example_key, example_message FROM failures LIMIT 10
