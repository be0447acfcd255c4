"""What differs between arms (tasks) and the only two loops over a loader (engine)."""
