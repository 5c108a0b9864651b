-- No row where there is no SLA.
SELECT sla_ms, within, late, percent FROM sla
