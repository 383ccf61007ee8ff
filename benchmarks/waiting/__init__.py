"""What people wait for: the request that notifies, the message, and the requests beside it."""
