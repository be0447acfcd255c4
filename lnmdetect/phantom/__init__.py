"""Synthetic anatomy, nodes and scanners: seeds in, arrays and truth out."""
