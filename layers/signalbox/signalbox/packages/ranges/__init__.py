"""How each ecosystem reads versions and ranges of versions: one module each, all of one form (`scheme`)."""
