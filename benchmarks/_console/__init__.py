"""What `benchmarks/console.py` is made of."""
