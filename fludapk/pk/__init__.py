"""Pharmacokinetics on arrays, independent of patients, papers and wording."""
