"""A worker: a process that executes tasks, with its models loaded once."""
