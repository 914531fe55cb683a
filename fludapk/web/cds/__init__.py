"""Orders in FHIR R4, answered as CDS Hooks cards.

Resources are read by a small pydantic subset (`resources`) and not by the package
``fhir.resources``. That takes 0.3 s longer to import and 27 MB, reads the text ``"30"`` as the
number 30, and refuses a whole bundle for a fault in a resource that nobody asked about. A subset
that is strict, and that keeps the elements it does not have, can say which were not understood.

What is not understood is said in a card and nothing is computed; nothing is guessed.
"""
