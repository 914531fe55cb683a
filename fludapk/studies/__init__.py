"""Studies: what many patients teach."""
