"""Identity: who there is, what each may do, and the tokens that say so."""
