"""Runs, items, tasks, attempts: the ledger, its state machine, and the driver's loop."""
