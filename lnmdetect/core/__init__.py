"""Errors, records, box arithmetic and configuration: numpy, pydantic and the standard library."""
