"""Published models, formulas, regimens and targets, each with its citation."""
