-- Pages that nothing lies in; only a VACUUM gives them back to the disk.
SELECT freelist_count FROM pragma_freelist_count
