"""Pure types and rules: ids, states, what travels between parts, events. No I/O."""
