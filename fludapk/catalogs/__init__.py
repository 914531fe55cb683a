"""Translations: a gettext catalog for each language (`tools/make_catalogs.py`)."""
