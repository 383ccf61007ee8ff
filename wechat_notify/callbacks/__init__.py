"""What is done with a callback after its signature was verified."""
