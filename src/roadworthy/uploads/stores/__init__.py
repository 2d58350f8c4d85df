"""Where files are kept: each store in a file of its own, imported when it is wanted."""
