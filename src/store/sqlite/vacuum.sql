-- Writes the whole database anew without the pages that are free, as one transaction: killed half-way, nothing has happened.
VACUUM
