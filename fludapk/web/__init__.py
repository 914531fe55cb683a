"""The same answers in a browser: `fludapk serve`.

`asked` reads requests, `api` answers in JSON, `cds` answers orders in FHIR, `pages` answers people,
`guard` keeps strangers out, `app` puts them together. Nothing here computes.
"""
