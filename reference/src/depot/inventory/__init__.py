"""Items and how much of them there is."""
