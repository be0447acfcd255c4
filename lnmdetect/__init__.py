"""Cervical lymph nodes on neck CT: found, classified and evaluated. Research software."""

__version__ = "0.1.0"
