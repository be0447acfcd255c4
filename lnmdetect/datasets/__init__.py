"""Records and transforms joined to torch batches."""
