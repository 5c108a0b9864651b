-- All ways in which imports made requests: some of them may wait to be sent still.
SELECT DISTINCT template FROM imports WHERE template IS NOT NULL
