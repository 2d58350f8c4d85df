"""The proofs of `benchmarks/jobs.py`, and the peers they run."""
