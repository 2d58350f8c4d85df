"""The proofs of `benchmarks/uploads.py`, and the peers they run."""
