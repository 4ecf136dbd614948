"""What bench/instructions and bench/compare share."""
