"""Answers: one function per question about one patient, or row by row."""
