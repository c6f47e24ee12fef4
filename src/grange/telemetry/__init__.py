"""What this program tells of itself in numbers: the table of metrics, counting, exposition."""
