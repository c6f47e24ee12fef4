"""Who may do what: users, groups, sessions, tokens, and the audit log of what they did."""
