"""A site's own app whose objects rules are written about."""
