"""Everything that has a citation."""
