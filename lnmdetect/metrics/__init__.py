"""Arrays in, numbers out: detection, FROC, classification, both stages together."""
