-- One transaction that only reads: everything asked in it is of one moment.
BEGIN
