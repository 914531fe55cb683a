"""Patients: who is treated, how much, what was measured; and how that is written down."""
