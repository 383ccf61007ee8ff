"""How people's openids become known, and whether those people follow the account."""
