-- Notes the permits of further requests of jobs that have passed the fence in this transaction; $1 = jobs, $2 = when they are void.
-- As in lease.sql.
UPDATE jobs SET due_at_us = b.permit_us FROM unnest($1::bigint[], $2::bigint[]) AS b(job, permit_us) WHERE jobs.id = b.job
