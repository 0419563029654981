"""Decision thresholds, chosen on validation."""
