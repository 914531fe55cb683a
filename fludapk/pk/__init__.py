"""Pharmacokinetics of arrays: no patient, no paper, no sentence."""
