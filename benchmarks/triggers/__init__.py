"""What triggers cost that do not fire."""
