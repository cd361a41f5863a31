"""What orders transactions: the engine port, admission, and the two engines."""
