"""Networks: sizes in, tensors out; no files, no recipes."""
