"""Documents and archives: files from strangers, kept in the store, with rows that name them."""
