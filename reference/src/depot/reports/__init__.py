"""Reports: sums of the ledger."""
