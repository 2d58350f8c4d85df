"""Orders: what is taken from stock, and the ledger of it."""
