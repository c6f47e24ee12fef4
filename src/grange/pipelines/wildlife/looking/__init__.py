"""Pictures, plots and pages to look at results with."""
