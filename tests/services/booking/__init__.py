"""A site's own app, whose triggers stand where a site puts them."""
