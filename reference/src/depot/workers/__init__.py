"""`depot worker`: run jobs in processes of their own."""
