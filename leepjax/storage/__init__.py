"""Files: written atomically, locked, checked against a digest; records, arrays and sheets of text in them."""
